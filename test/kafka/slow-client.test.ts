import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Env } from "../../src/env.ts";
import { Brokers } from "../../src/kafka/brokers.ts";
import { serveKafka } from "../../src/kafka/connection.ts";
import { encodeRequest } from "../../src/kafka/frame.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { KAFKA_STALLED_MS_MAX } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";

const TOPIC: Topic = {
  id: "AAAAAAAAAAAAAAAAAAAAAQ",
  name: "wide",
  version: 1,
  partitions: 100_000,
  configs: {},
  createdAtMs: 0,
  placements: {},
};

/** A cluster of one topic, whose Metadata has some megabytes. */
const CONTROLLER = {
  idFromName: () => ({}),
  get: () => ({
    describeCluster: async () => ({ clusterId: TOPIC.id }),
    listTopics: async () => [TOPIC],
  }),
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a client that takes an answer slowly gets all of it", async () => {
  const client = new Client(KAFKA_STALLED_MS_MAX / 2);
  await vi.advanceTimersByTimeAsync(9 * KAFKA_STALLED_MS_MAX);
  expect(client.writes).toBeGreaterThan(4);
  expect(client.receivedBytes).toBe(4 + client.announcedBytes);
  expect(client.isCutOff).toBe(false);
});

test("a client that takes nothing is cut off", async () => {
  const client = new Client(Number.POSITIVE_INFINITY);
  await vi.advanceTimersByTimeAsync(2 * KAFKA_STALLED_MS_MAX);
  expect(client.isCutOff).toBe(true);
});

/** Asks for the Metadata of all topics, and takes so long for every piece of the answer. */
class Client {
  writes = 0;
  receivedBytes = 0;
  announcedBytes = Number.NaN;
  isCutOff = false;

  constructor(msPerPiece: number) {
    const header = { correlationId: 1, clientId: null };
    const request = encodeRequest(metadataApi, 12, header, { topics: null, allowAutoTopicCreation: false });
    const readable = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(concatBytes(request)),
    });
    const writable = new WritableStream<Uint8Array>({
      write: (piece, { signal }) => this.#take(piece, msPerPiece, signal),
      abort: () => {
        this.isCutOff = true;
      },
    });
    void serveKafka(readable, writable, {
      env: { CONTROLLER } as unknown as Env,
      brokers: new Brokers([{ host: "localhost", port: 9092 }]),
      clientHost: "localhost",
      principal: { name: "User:slow" },
    });
  }

  async #take(piece: Uint8Array, ms: number, signal: AbortSignal): Promise<void> {
    if (this.writes++ === 0) this.announcedBytes = new DataView(piece.buffer, piece.byteOffset).getInt32(0);
    await new Promise<void>((resolve) => {
      if (Number.isFinite(ms)) setTimeout(resolve, ms);
      signal.addEventListener("abort", () => resolve());
    });
    this.receivedBytes += piece.length;
  }
}
