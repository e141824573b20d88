import { expect, test } from "vitest";
import type { ConsumedRecord, ConsumeOptions, Edgelog } from "../../src/client/index.ts";
import { platformFetch, platformWebSocket } from "../../src/client/platform.ts";
import { readAll, take, useCluster } from "./cluster.ts";

const cluster = useCluster();

/** Each value on a line of its own, one batch each: sent one after another. */
async function produceOneByOne(topic: string, values: readonly string[], partition = 0): Promise<void> {
  const producer = cluster.client().producer({ topic, lingerMs: 0 });
  for (const value of values) await producer.send({ value, partition });
  await producer.close();
}

/** Every value once, and those of a partition in order. */
function expectComplete(records: readonly ConsumedRecord[], count: number, partitions: number): void {
  expect(records).toHaveLength(count);
  for (let partition = 0; partition < partitions; partition += 1) {
    const values = records.filter((record) => record.partition === partition).map((record) => record.text());
    const expected = Array.from(
      { length: Math.ceil((count - partition) / partitions) },
      (_, i) => `${i * partitions + partition}`,
    );
    expect(values).toEqual(expected);
  }
}

const texts = (records: readonly ConsumedRecord[]) => records.map((record) => record.text());

test("a record comes back as it was sent", async () => {
  const topic = await cluster.newTopic();
  await cluster
    .client()
    .producer({ topic })
    .send({
      key: "k",
      value: JSON.stringify({ a: 1 }),
      headers: [
        { key: "h", value: "1" },
        { key: "h", value: "2" },
        { key: "none", value: null },
      ],
      timestamp: 1_700_000_000_123,
    });
  const [record] = await readAll(cluster.client(), topic);
  expect(record).toMatchObject({ topic, partition: 0, offset: 0, timestamp: 1_700_000_000_123 });
  expect(record?.keyText()).toBe("k");
  expect(record?.json()).toEqual({ a: 1 });
  expect(record?.headers.map(({ key }) => key)).toEqual(["h", "h", "none"]);
  expect([record?.header("h"), record?.header("none"), record?.header("other")]).toEqual([
    "2",
    null,
    undefined,
  ]);
});

test("a subscription begins where it is told", async () => {
  const topic = await cluster.newTopic(2);
  const client = cluster.client();
  const producer = client.producer({ topic, lingerMs: 0 });
  for (let i = 0; i < 6; i += 1)
    await producer.send({ value: `${i}`, partition: i % 2, timestamp: 1_000 + i });
  const read = async (options: ConsumeOptions) => {
    const records = [];
    for await (const record of client.consume(topic, { follow: false, ...options })) records.push(record);
    return texts(records).sort();
  };
  expect(await read({ from: "earliest" })).toEqual(["0", "1", "2", "3", "4", "5"]);
  expect(await read({ from: "latest" })).toEqual([]);
  expect(await read({})).toEqual([]);
  expect(await read({ from: 1, partitions: [1] })).toEqual(["3", "5"]);
  expect(await read({ from: { offsets: { 0: 2 } } })).toEqual(["1", "3", "4", "5"]);
  expect(
    await read({
      from: {
        offsets: new Map([
          [0, 3],
          [1, 2],
        ]),
      },
    }),
  ).toEqual(["5"]);
  expect(await read({ from: { timestamp: 1_003 } })).toEqual(["3", "4", "5"]);
  expect(await read({ from: { timestamp: 2_000 } })).toEqual([]);
  await expect(read({ from: 1 })).rejects.toThrow("partitions");
});

test("a batch that begins before the offset asked for is given out from that offset on", async () => {
  const topic = await cluster.newTopic();
  await cluster
    .client()
    .producer({ topic })
    .send(["a", "b", "c"].map((value) => ({ value })));
  expect(texts(await take(cluster.client().consume(topic, { from: 2 }), 1))).toEqual(["c"]);
});

test("records come as they are produced", async () => {
  const topic = await cluster.newTopic();
  const records = cluster.client().consume(topic);
  expect(await records.positions()).toEqual(new Map([[0, 0]]));
  for (const value of ["a", "b", "c"]) {
    await produceOneByOne(topic, [value]);
    const next = await records.next();
    expect(next.value?.text()).toBe(value);
  }
  await records.close();
});

test.each([
  ["a connection per partition", 8],
  ["one connection for all", 0],
])("all partitions are read in order, with %s", async (_, maxDirectConnections) => {
  const topic = await cluster.newTopic(5);
  await cluster.produce(topic, 5_000, 5);
  const records = cluster.client().consume(topic, { from: "earliest", maxDirectConnections });
  const before = await take(records, 5_000);
  expectComplete(before, 5_000, 5);
});

test.each([
  ["a connection per partition", 8],
  ["one connection for all", 0],
])(
  "however often connections break, nothing is missed or repeated, with %s",
  async (_, maxDirectConnections) => {
    const topic = await cluster.newTopic(3);
    await cluster.produce(topic, 30_000, 3);
    let left = 0;
    let broken = 0;
    cluster.proxy.breaks = ({ length: bytes }) => {
      left -= bytes;
      if (left > 0) return false;
      // More than one frame has to come through now and then, or there would be no progress.
      left = 10_000 + Math.floor(Math.random() * 100_000);
      broken += 1;
      return true;
    };
    const disconnects: string[] = [];
    const records = cluster.client({ url: cluster.proxy.url }).consume(topic, {
      from: "earliest",
      creditBytes: 65_536,
      maxDirectConnections,
      reconnectBackoffMs: 1,
      onDisconnect: ({ message }) => disconnects.push(message),
    });
    const taken: ConsumedRecord[] = [];
    // Half of it is produced while it is read.
    const producing = cluster.produce(topic, 30_000, 3, 30_000);
    for await (const record of records) {
      taken.push(record);
      if (taken.length === 60_000) break;
    }
    await producing;
    cluster.proxy.breaks = () => false;
    expectComplete(taken, 60_000, 3);
    expect(broken).toBeGreaterThan(10);
    expect(disconnects.length).toBeGreaterThan(10);
  },
);

test("a loop that stands still holds the cluster back", async () => {
  const topic = await cluster.newTopic();
  const value = "x".repeat(10_000);
  await cluster
    .client()
    .producer({ topic, maxRequestSize: 50_000 })
    .sendAll(Array.from({ length: 500 }, () => ({ value })));
  let received = 0;
  const WebSocket = class extends platformWebSocket() {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      this.addEventListener("message", ({ data }) => {
        if (data instanceof ArrayBuffer) received += data.byteLength;
      });
    }
  };
  const slow = cluster.client({ WebSocket }).consume(topic, { from: "earliest", creditBytes: 200_000 });
  await slow.next();
  // By the time that another one has read all of it, this one would have had it too.
  expect(await readAll(cluster.client(), topic)).toHaveLength(500);
  expect(received).toBeLessThan(200_000 + 50_000 + 1_000);
  expect(await take(slow, 499)).toHaveLength(499);
  expect(received).toBeGreaterThan(500 * 10_000);
});

test("a batch larger than the credit comes all the same", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic });
  await producer.send(Array.from({ length: 3 }, () => ({ value: "x".repeat(300_000) })));
  await producer.send({ value: "next" });
  const records = await take(cluster.client().consume(topic, { from: "earliest", creditBytes: 65_536 }), 4);
  expect(records.at(-1)?.text()).toBe("next");
});

test("a connection that went silent is noticed and replaced", async () => {
  const topic = await cluster.newTopic();
  const disconnects: string[] = [];
  const records = cluster.client({ url: cluster.proxy.url }).consume(topic, {
    from: "earliest",
    pingIntervalMs: 100,
    onDisconnect: ({ message }) => disconnects.push(message),
  });
  await produceOneByOne(topic, ["before"]);
  expect((await records.next()).value?.text()).toBe("before");
  cluster.proxy.freezeAll();
  await produceOneByOne(topic, ["after"]);
  expect((await records.next()).value?.text()).toBe("after");
  expect(disconnects.join()).toContain("not even a pong");
  await records.close();
});

test("an idle connection that answers pings is kept", async () => {
  const topic = await cluster.newTopic();
  let pongs = 0;
  let enough: () => void = () => {};
  const fivePongs = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const WebSocket = class extends platformWebSocket() {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      this.addEventListener("message", ({ data }) => {
        if (data === "pong" && ++pongs === 5) enough();
      });
    }
  };
  let disconnects = 0;
  const records = cluster
    .client({ WebSocket })
    .consume(topic, { from: "earliest", pingIntervalMs: 50, onDisconnect: () => disconnects++ });
  const next = records.next();
  await fivePongs;
  await produceOneByOne(topic, ["a"]);
  expect((await next).value?.text()).toBe("a");
  expect(disconnects).toBe(0);
  await records.close();
});

test("positions() resumes exactly after the last record that was given out", async () => {
  const topic = await cluster.newTopic(2);
  await cluster.produce(topic, 1_000, 2);
  const client = cluster.client();
  const first = client.consume(topic, { from: "earliest" });
  const taken: ConsumedRecord[] = [];
  for await (const record of first) {
    taken.push(record);
    if (taken.length === 333) break;
  }
  const rest = client.consume(topic, { from: { offsets: await first.positions() } });
  taken.push(...(await take(rest, 667)));
  expectComplete(taken, 1_000, 2);
});

test("the loop throws the reason when the signal aborts, and ends quietly when it is closed", async () => {
  const topic = await cluster.newTopic();
  const client = cluster.client();
  const abort = new AbortController();
  const aborted = client.consume(topic, { signal: abort.signal });
  await aborted.positions();
  const waiting = aborted.next();
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  expect(await aborted.next()).toEqual({ done: true, value: undefined });

  const closed = client.consume(topic);
  await closed.positions();
  const last = closed.next();
  await closed.close();
  expect(await last).toEqual({ done: true, value: undefined });

  await expect(
    client.consume(topic, { signal: AbortSignal.abort(new Error("at once")) }).next(),
  ).rejects.toThrow("at once");
  const never = client.consume(topic);
  await never.close();
  expect(await never.next()).toEqual({ done: true, value: undefined });
});

test("leaving the loop closes the connections", async () => {
  const topic = await cluster.newTopic(3);
  await cluster.produce(topic, 3, 3);
  cluster.proxy.breakAll();
  let opened = 0;
  let closed: () => void = () => {};
  const allClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const WebSocket = class extends platformWebSocket() {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      opened += 1;
      this.addEventListener("close", () => {
        opened -= 1;
        if (opened === 0) closed();
      });
    }
  };
  await take(cluster.client({ WebSocket }).consume(topic, { from: "earliest" }), 3);
  await allClosed;
});

test("a topic that is not there, or no more, ends the loop with its error", async () => {
  const client: Edgelog = cluster.client();
  await expect(client.consume("no-such-topic").next()).rejects.toMatchObject({
    code: "UNKNOWN_TOPIC_OR_PARTITION",
  });
  const topic = await cluster.newTopic();
  await expect(client.consume(topic, { partitions: [1] }).next()).rejects.toMatchObject({
    code: "UNKNOWN_TOPIC_OR_PARTITION",
  });
  await produceOneByOne(topic, ["a"]);
  const records = client.consume(topic, { from: "earliest" });
  await records.next();
  const refused = expect(records.next()).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  await client.topics.delete(topic);
  await refused;
});

test("an offset that is no longer kept is an error, unless offsetReset says where to go on", async () => {
  const topic = await cluster.newTopic();
  await produceOneByOne(topic, ["a", "b", "c", "d"]);
  const trimmed = await fetch(`${cluster.url}/v1/topics/${topic}/partitions/0/records?before_offset=2`, {
    method: "DELETE",
  });
  expect(trimmed.ok, await trimmed.text()).toBe(true);
  const client = cluster.client();
  const from = { offsets: { 0: 0 } };
  await expect(client.consume(topic, { from }).next()).rejects.toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
  expect(texts(await take(client.consume(topic, { from, offsetReset: "earliest" }), 2))).toEqual(["c", "d"]);
  const latest = client.consume(topic, { from, offsetReset: "latest" });
  const next = latest.next();
  // It moves to wherever the end is by then.
  const producing = new AbortController();
  const produceOn = async () => {
    for (let i = 0; !producing.signal.aborted; i += 1) await produceOneByOne(topic, [`e${i}`]);
  };
  const produced = produceOn();
  expect((await next).value?.text()).toMatch(/^e/);
  producing.abort();
  await produced;
  await latest.close();
});

test("partitions that are added are read from their first record on", async () => {
  const topic = await cluster.newTopic(1);
  const client = cluster.client();
  const records = client.consume(topic, { metadataMaxAgeMs: 50 });
  await records.positions();
  await client.topics.alter(topic, { partitions: 2 });
  await produceOneByOne(topic, ["of the new partition"], 1);
  expect((await records.next()).value).toMatchObject({ partition: 1, offset: 0 });
  await records.close();
});

test("options that cannot be are refused by name", () => {
  const client = cluster.client();
  expect(() => client.consume("t", { creditBytes: 1 })).toThrow("creditBytes");
  expect(() => client.consume("t", { partitions: [0, 0] })).toThrow("partitions");
  expect(() => client.consume("t", { from: -1 })).toThrow("from");
  expect(() => client.consume("not a topic")).toThrow("characters");
});

test("a consumer whose topic is deleted does not go on with another of the same name", async () => {
  const topic = await cluster.newTopic();
  const { topics } = cluster.client();
  let isDeleted = false;
  const client = cluster.client({
    // Whoever looks the topic up again finds one that has been made anew.
    fetch: async (url, options) => {
      if (isDeleted && url.endsWith(`/v1/topics/${topic}`)) await topics.create(topic).catch(() => undefined);
      return platformFetch(url, options);
    },
  });
  await client.producer({ topic }).send([{ value: "a" }, { value: "b" }]);
  const records = client.consume(topic, { from: "earliest" });
  expect((await records.next()).value?.text()).toBe("a");
  expect((await records.next()).value?.text()).toBe("b");
  const refused = expect(records.next()).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  isDeleted = true;
  await topics.delete(topic);
  await refused;
});
