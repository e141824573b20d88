import { readdirSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { describeGroupsApi } from "../../src/kafka/messages/describe-groups.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { joinGroupApi } from "../../src/kafka/messages/join-group.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import {
  KAFKA_FETCH_BYTES_IN_FLIGHT_MAX,
  KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX,
} from "../../src/model/limits.ts";
import { fuzzKafka } from "./fuzz.ts";
import { HELD_PATH, type Held } from "./inspection.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const CONNECTIONS = 500;
const GROUP = "left-in-the-lurch";
const ROUNDS = 2;
const PARTITIONS = 20;
const FUZZED_FRAMES = 2_000;
const NOTHING_HELD = {
  sockets: 0,
  sessions: 0,
  requestBytesLeft: KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX,
  fetchBytesLeft: KAFKA_FETCH_BYTES_IN_FLIGHT_MAX,
};
const PATIENCE = { timeout: 30_000, interval: 100 };

describe("the Kafka port", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    const entry = fileURLToPath(new URL("./inspected-worker.ts", import.meta.url).href);
    platform = await startKafkaPlatform({ entry });
  });
  afterAll(async () => {
    await platform.stop();
  });

  function broker() {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return address;
  }

  it("takes no harm from damaged frames, and stores exactly the valid ones", async () => {
    const seed = Date.now() % 1_000_000;
    const { stored, refused } = await fuzzKafka({ broker: broker(), frames: FUZZED_FRAMES, seed });
    expect(stored + refused, `seed ${seed}`).toBeGreaterThan(FUZZED_FRAMES / 3);
  });

  it("serves many connections at once, each producing and fetching", async () => {
    const name = "shared";
    await createTopic(name, PARTITIONS);
    const unseen = await Promise.all(
      Array.from({ length: CONNECTIONS }, (_, connection) => roundTrips(name, connection, ROUNDS)),
    );
    expect(unseen.flat()).toEqual([]);
  });

  it("stores of what a killed client was sending its beginning, and keeps nothing of it", async () => {
    const topic = "cut-short";
    const id = await createTopic(topic);
    const [clients, batches] = [40, 50];
    const socketsBefore = openSockets();
    const senders = await Promise.all(Array.from({ length: clients }, () => RawClient.connect(broker())));
    for (const [sender, client] of senders.entries()) {
      for (let nth = 0; nth < batches; nth++)
        client.send(produceApi, 8, produceRequest(topic, `${sender}-${nth}`));
    }
    await Promise.all(
      senders.map(async (client) => {
        await client.frame();
        client.kill();
      }),
    );
    await expect.poll(() => heldBy(id), PATIENCE).toMatchObject(NOTHING_HELD);
    await expect.poll(openSockets, PATIENCE).toBeLessThan(socketsBefore + 10);
    const stored = Array.from({ length: clients }, (): number[] => []);
    for (const value of await valuesIn(topic)) {
      const [sender = -1, nth = -1] = value.split("-").map(Number);
      stored[sender]?.push(nth);
    }
    for (const nths of stored) {
      expect(nths.length).toBeGreaterThan(0);
      expect(nths).toEqual(nths.map((_, index) => index));
    }
  });

  it("keeps nothing of clients that go away: while they wait, in the middle of a request, and of an answer", async () => {
    const topic = "abandoned";
    const id = await createTopic(topic);
    await flood(topic, 8);
    const held = () => heldBy(id);
    const socketsBefore = openSockets();

    const clients = await Promise.all(Array.from({ length: 150 }, () => RawClient.connect(broker())));
    const [waiting, sending, reading] = [clients.slice(0, 80), clients.slice(80, 120), clients.slice(120)];
    // A whole request, but of an API that does not exist: the server itself ends these connections.
    const spoiled = Buffer.alloc(1_000_004, 0x7f);
    spoiled.writeInt32BE(1_000_000);
    const strangers = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(broker())));
    for (const client of strangers) client.sendBytes(spoiled);
    await Promise.all(strangers.map((client) => client.closed()));
    for (const client of waiting) sendFetch(client, topic, { fetchOffset: 8, maxWaitMs: 60_000 });
    const begun = Buffer.alloc(100_000);
    begun.writeInt32BE(1_000_000);
    for (const client of sending) client.sendBytes(begun);
    for (const client of reading) {
      client.pause();
      // More than the buffers on the way take.
      for (let count = 0; count < 16; count++) sendFetch(client, topic, { fetchOffset: 0, maxWaitMs: 0 });
    }
    await expect.poll(held, PATIENCE).toMatchObject({ sockets: waiting.length });
    await expect.poll(async () => (await held()).requestBytesLeft, PATIENCE).toBeLessThan(20e6);
    await expect.poll(async () => (await held()).fetchBytesLeft, PATIENCE).toBeLessThan(20e6);
    expect(openSockets()).toBeGreaterThanOrEqual(socketsBefore + clients.length);

    // Half of them are killed, the others go without a word.
    for (const [index, client] of clients.entries()) {
      if (index % 2 === 0) client.kill();
      else client.close();
    }
    await expect.poll(held, PATIENCE).toMatchObject(NOTHING_HELD);
    await expect.poll(openSockets, PATIENCE).toBeLessThan(socketsBefore + 10);
  });

  it("keeps no connection of clients that go away while they wait for the others of their group", async () => {
    const socketsBefore = openSockets();
    const leader = await RawClient.connect(broker());
    // The only member of its group: it need not come again for the ten minutes that it has asked for.
    const { memberId } = await leader.receive(joinGroupApi, 3, sendJoin(leader, ""));
    expect(memberId).not.toBe("");
    const members = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(broker())));
    for (const member of members) sendJoin(member, "");
    const coordinator = await RawClient.connect(broker());
    const waiting = async () => {
      const { groups } = await coordinator.ask(describeGroupsApi, 5, {
        groups: [GROUP],
        includeAuthorizedOperations: false,
      });
      return groups[0]?.members.length;
    };
    await expect.poll(waiting, PATIENCE).toBe(members.length + 1);
    for (const [index, member] of members.entries()) {
      if (index % 2 === 0) member.kill();
      else member.close();
    }
    await expect.poll(openSockets, PATIENCE).toBeLessThan(socketsBefore + 10);
    leader.close();
    coordinator.close();
  });

  it("has what it cannot take in time sent again, by an error on which no client gives up", async () => {
    const name = "flooded";
    await createTopic(name);
    const codes = await Promise.all(Array.from({ length: 8 }, () => flood(name, 10)));
    const [stored, refusedForNow] = [0, 19];
    expect(codes.flat().filter((code) => code !== stored && code !== refusedForNow)).toEqual([]);
    expect(codes.flat()).toContain(stored);
  });

  /** Returns its id. */
  async function createTopic(name: string, numPartitions = 1): Promise<string | undefined> {
    const client = await RawClient.connect(broker());
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
    const { topics } = await client.ask(createTopicsApi, 7, { topics: [topic] });
    client.close();
    return topics[0]?.topicId;
  }

  function sendJoin(client: RawClient, memberId: string): number {
    const protocols = [{ name: "range", metadata: new Uint8Array(0) }];
    const timeouts = { sessionTimeoutMs: 600_000, rebalanceTimeoutMs: 600_000 };
    return client.send(joinGroupApi, 3, {
      groupId: GROUP,
      memberId,
      protocolType: "consumer",
      protocols,
      ...timeouts,
    });
  }

  function sendFetch(
    client: RawClient,
    topic: string,
    { fetchOffset, maxWaitMs }: { readonly fetchOffset: number; readonly maxWaitMs: number },
  ): void {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 8_000_000 }];
    client.send(fetchApi, 11, { maxWaitMs, minBytes: 1, topics: [{ topic, topicId: "", partitions }] });
  }

  /** Of the platform's runtime, those of its own included. */
  function openSockets(): number {
    const directory = `/proc/${platform.workerdPid}/fd`;
    return readdirSync(directory).filter((file) => linkOf(`${directory}/${file}`).startsWith("socket:"))
      .length;
  }

  async function heldBy(topicId: string | undefined): Promise<Held> {
    const object = encodeURIComponent(`${topicId}/0/0`);
    return (await fetch(`${platform.url}${HELD_PATH}?object=${object}`)).json();
  }

  function produceRequest(name: string, value: string, index = 0) {
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from(value) }]);
    return {
      acks: -1,
      timeoutMs: 30_000,
      topicData: [{ name, topicId: "", partitionData: [{ index, records }] }],
    };
  }

  /** Of partition 0, which fits into one answer. */
  async function valuesIn(topic: string): Promise<string[]> {
    const client = await RawClient.connect(broker());
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 8_000_000 }];
    const topics = [{ topic, topicId: "", partitions }];
    const { responses } = await client.ask(fetchApi, 11, { maxWaitMs: 0, minBytes: 1, topics });
    client.close();
    const records = responses[0]?.partitions[0]?.records ?? new Uint8Array(0);
    return [...decodeBatches(records)].map(({ value }) => Buffer.from(value ?? []).toString());
  }

  /** Produces megabytes without waiting, and returns what became of each. */
  async function flood(topic: string, megabytes: number): Promise<number[]> {
    const client = await RawClient.connect(broker());
    const value = new Uint8Array(1_000_000);
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value }]);
    const topicData = [{ name: topic, topicId: "", partitionData: [{ index: 0, records }] }];
    const sent = Array.from({ length: megabytes }, () =>
      client.send(produceApi, 8, { acks: -1, timeoutMs: 30_000, topicData }),
    );
    const codes: number[] = [];
    for (const correlationId of sent) {
      const { responses } = await client.receive(produceApi, 8, correlationId);
      codes.push(responses[0]?.partitionResponses[0]?.errorCode ?? -1);
    }
    client.close();
    return codes;
  }

  /** Produces and fetches in turn on one connection, and returns what it has produced and not seen again. */
  async function roundTrips(topic: string, connection: number, rounds: number): Promise<string[]> {
    const client = await RawClient.connect(broker());
    const index = connection % PARTITIONS;
    const unseen = new Set<string>();
    let fetchOffset = 0;
    for (let round = 0; round < rounds; round++) {
      const value = `${connection}-${round}`;
      unseen.add(value);
      await client.ask(produceApi, 8, produceRequest(topic, value, index));
      const partitions = [{ partition: index, fetchOffset, partitionMaxBytes: 1_000_000 }];
      const topics = [{ topic, topicId: "", partitions }];
      const { responses } = await client.ask(fetchApi, 12, { maxWaitMs: 1_000, minBytes: 1, topics });
      for (const record of decodeBatches(responses[0]?.partitions[0]?.records ?? new Uint8Array(0))) {
        unseen.delete(Buffer.from(record.value ?? []).toString());
        fetchOffset = record.offset + 1;
      }
    }
    client.close();
    return [...unseen];
  }
});

/** Files may be closed while one looks. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
