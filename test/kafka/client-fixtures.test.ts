import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { encodeRequest, LENGTH_PREFIX_BYTES, readRequest, readRequestHeader } from "../../src/kafka/frame.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { APIS } from "../../src/kafka/messages/index.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { saslAuthenticateApi } from "../../src/kafka/messages/sasl-authenticate.ts";
import type { Api, RequestOf } from "../../src/kafka/schema.ts";
import { WireReader } from "../../src/kafka/wire-reader.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { findApi } from "./find-api.ts";

const DIRECTORY = fileURLToPath(new URL("./fixtures/", import.meta.url).href);

const TOPIC_ID = "dGhpcyBpcyBhIHRvcGljIQ";
const PRODUCED = [
  ["ATL", "delayed"],
  ["JFK", "on time"],
];

interface Recorded {
  readonly client: string;
  readonly title: string;
  readonly api: Api;
  readonly version: number;
  readonly bytes: Uint8Array;
}

const RECORDED: readonly Recorded[] = readdirSync(DIRECTORY)
  .filter((file) => file.endsWith(".txt"))
  .flatMap((file) =>
    readFileSync(join(DIRECTORY, file), "utf8")
      .trim()
      .split("\n")
      .map((line) => recorded(file.replace(".txt", ""), line)),
  );

function recorded(client: string, line: string): Recorded {
  const [name = "", version = "", hex = ""] = line.split(" ");
  const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
  const key = [...APIS.values()].find((api) => api.name === name)?.key ?? -1;
  return {
    client,
    title: `${client}: ${name} ${version}`,
    api: findApi(key),
    version: Number(version),
    bytes,
  };
}

function read<A extends Api>(api: A, { version, bytes }: Recorded): RequestOf<A> {
  const reader = new WireReader(bytes);
  readRequestHeader(reader);
  return readRequest(api, version, reader);
}

describe("a request that a real client has sent", () => {
  it.each(RECORDED.map((one) => [one.title, one] as const))(
    "is read to its last byte, and is written the same (%s)",
    (_, { api, version, bytes }) => {
      const reader = new WireReader(bytes);
      const header = readRequestHeader(reader);
      expect(header).toMatchObject({
        apiKey: api.key,
        apiVersion: version,
        clientId: expect.stringMatching(/./),
      });
      const request = readRequest(api, version, reader);
      expect(reader.remaining).toBe(0);
      const written = concatBytes(encodeRequest(api, version, header, request)).subarray(LENGTH_PREFIX_BYTES);
      expect(Buffer.from(written).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
    },
  );

  it.each(
    RECORDED.filter(({ api }) => api === findApi(produceApi.key)).map((one) => [one.title, one] as const),
  )("carries the records that were produced (%s)", (_, one) => {
    const { acks, topicData } = read(produceApi, one);
    expect([-1, 0, 1]).toContain(acks);
    const isById = one.version >= 13;
    expect(topicData.map(({ name, topicId }) => (isById ? topicId : name))).toEqual([
      isById ? TOPIC_ID : "flights",
    ]);
    const records = topicData.flatMap(({ partitionData }) =>
      partitionData.flatMap((data) => [...decodeBatches(data.records ?? new Uint8Array(0))]),
    );
    const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString();
    expect(PRODUCED).toContainEqual(records.map(({ key, value }) => [text(key), text(value)])[0]);
  });

  it.each(
    RECORDED.filter(({ api }) => api === findApi(fetchApi.key)).map((one) => [one.title, one] as const),
  )("asks for partitions of the topic (%s)", (_, one) => {
    const { topics, minBytes, sessionId } = read(fetchApi, one);
    expect({ minBytes, sessionId }).toEqual({ minBytes: 1, sessionId: 0 });
    const [topic] = topics;
    if (one.version < 13) expect(topic?.topic).toBe("flights");
    else expect(topic?.topicId).toBe(TOPIC_ID);
    expect(topic?.partitions.length).toBeGreaterThan(0);
  });

  it.each(
    RECORDED.filter(({ api }) => api === findApi(saslAuthenticateApi.key)).map(
      (one) => [one.title, one] as const,
    ),
  )("shows user and password (%s)", (_, one) => {
    const { authBytes } = read(saslAuthenticateApi, one);
    expect(Buffer.from(authBytes).toString()).toBe("\0token\0secret");
  });
});
