/** The SDK and the command line read what Kafka's transactions have committed. */

import kafkajs from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EdgelogError } from "../../src/client/index.ts";
import { edgelog } from "../cli/edgelog.ts";
import { readAll, take, useCluster } from "./cluster.ts";

const isolationLevel = "read_committed";
const cluster = useCluster({ takesKafka: true });
let kafka: kafkajs.Producer;
beforeAll(async () => {
  const client = new kafkajs.Kafka({ brokers: [cluster.kafkaAddress], logLevel: kafkajs.logLevel.NOTHING });
  kafka = client.producer({ transactionalId: "writer", idempotent: true, maxInFlightRequests: 1 });
  await kafka.connect();
});
afterAll(() => kafka.disconnect());

async function begin(topic: string, values: readonly string[]) {
  const transaction = await kafka.transaction();
  await transaction.send({ topic, messages: values.map((value) => ({ value })) });
  return transaction;
}

/** Committed a and b, aborted c; two offsets more are the markers. */
async function fill(topic: string): Promise<void> {
  await (await begin(topic, ["a", "b"])).commit();
  await (await begin(topic, ["c"])).abort();
}

const texts = (records: readonly { text(): string | null }[]) => records.map((record) => record.text());

describe("a subscription with read_committed", () => {
  test("reads to where the open transaction begins, and on when it is committed", async () => {
    const topic = await cluster.newTopic();
    await fill(topic);
    const open = await begin(topic, ["d", "e"]);
    const client = cluster.client();
    const [end] = await client.topics.offsets(topic, { isolationLevel });
    expect(end).toMatchObject({ offset: 5 });
    const ended = client.consume(topic, { from: "earliest", follow: false, isolationLevel });
    expect(texts(await take(ended, Number.POSITIVE_INFINITY))).toEqual(["a", "b"]);
    expect(await ended.positions()).toEqual(new Map([[0, 5]]));
    expect(texts(await readAll(client, topic))).toEqual(["a", "b", "c", "d", "e"]);
    const following = client.consume(topic, { from: "latest", isolationLevel });
    expect(await following.positions()).toEqual(new Map([[0, 5]]));
    const next = take(following, 2);
    await open.commit();
    expect(texts(await next)).toEqual(["d", "e"]);
  });

  test.each([8, 0])("of several partitions (%i connections straight to leaders)", async (direct) => {
    const topic = await cluster.newTopic(3);
    const write = async (partition: number, value: string) => {
      const transaction = await kafka.transaction();
      await transaction.send({ topic, messages: [{ partition, value }] });
      return transaction;
    };
    for (const partition of [0, 1, 2]) {
      await (await write(partition, `kept ${partition}`)).commit();
      await (await write(partition, `aborted ${partition}`)).abort();
    }
    const records = cluster.client().consume(topic, {
      from: "earliest",
      maxDirectConnections: direct,
      isolationLevel,
    });
    const found: (string | null)[] = [];
    const open = await write(1, "open");
    for await (const record of records) {
      found.push(record.text());
      if (found.length === 3) await open.commit();
      if (found.length === 4) break;
    }
    expect(found.sort()).toEqual(["kept 0", "kept 1", "kept 2", "open"]);
  });
});

test("a member of a group with read_committed commits behind what was aborted", async () => {
  const topic = await cluster.newTopic();
  await fill(topic);
  const client = cluster.client();
  const member = client.consume(topic, { group: "committed", from: "earliest", isolationLevel });
  const found: (string | null)[] = [];
  for await (const record of member) {
    found.push(record.text());
    if (found.length === 2) await (await begin(topic, ["d"])).commit();
    if (found.length < 3) continue;
    await member.commit();
    break;
  }
  expect(found).toEqual(["a", "b", "d"]);
  const [offset] = await client.groups.offsets("committed");
  expect(offset).toMatchObject({ topic, offset: 6 });
});

test("edgelog consume prints what is committed, if it is asked to", async () => {
  const topic = await cluster.newTopic();
  await fill(topic);
  const env = { EDGELOG_URL: cluster.url };
  const committed = ["consume", topic, "-e", "--isolation-level", "read_committed"];
  expect(await edgelog(committed, { env })).toMatchObject({ exitCode: 0, stdout: "a\nb\n" });
  expect(await edgelog(["consume", topic, "-e"], { env })).toMatchObject({ stdout: "a\nb\nc\n" });
});

test("an isolation level that there is none of is refused by name", () => {
  expect(() => cluster.client().consume("any", Object.assign({ isolationLevel: "serializable" }))).toThrow(
    EdgelogError,
  );
});
