import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { crc32c } from "../../src/log/crc32c.ts";
import { partitionForKey } from "../../src/log/partitioner.ts";
import { answer, consume, newTopic, produce, refusal, request, send } from "./http.ts";

const RECORD_BATCH = "application/vnd.kafka.recordbatch";
const bytes = (text: string) => new TextEncoder().encode(text);

async function stored(topic: string, partition = 0, query = "") {
  return (await answer(consume(topic, query, "application/json", partition))).records;
}

async function values(topic: string, partition = 0): Promise<unknown[]> {
  return (await stored(topic, partition)).map((record: { value: unknown }) => record.value);
}

async function logEnd(topic: string, partition = 0): Promise<number> {
  return (await answer(request(`/v1/topics/${topic}/partitions/${partition}`))).high_watermark;
}

describe("a JSON record", () => {
  test("has strings as their UTF-8, null as null, base64 as bytes and other JSON as its text", async () => {
    const topic = await newTopic();
    const records = [
      { key: "schlüssel", value: "" },
      { key: null, value: null },
      {},
      { key: { base64: "/wA=" }, value: { base64: "" } },
      { key: 7, value: { b: [1, "x"], a: { base64: "AA==" } } },
      { value: { base64: "AA==", other: 1 } },
      { value: true },
      { value: [] },
    ];
    const { records: answered } = await answer(produce(topic, { records }));
    expect(answered).toEqual(records.map((_, offset) => ({ partition: 0, offset })));
    expect(await stored(topic)).toMatchObject([
      { key: "schlüssel", value: "" },
      { key: null, value: null },
      { key: null, value: null },
      { key: { base64: "/wA=" }, value: "" },
      { key: "7", value: '{"b":[1,"x"],"a":{"base64":"AA=="}}' },
      { key: null, value: '{"base64":"AA==","other":1}' },
      { key: null, value: "true" },
      { key: null, value: "[]" },
    ]);
  });

  test("keeps every digit of its numbers, and no white space", async () => {
    const topic = await newTopic();
    const text = '{"records": [{"value": [1.0, 12345678901234567890, -0, 1e400, 0.1, 5]}, {"value": 1.50}]}';
    await answer(
      request(`/v1/topics/${topic}/records`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: text,
      }),
    );
    expect(await values(topic)).toEqual(["[1.0,12345678901234567890,-0,1e400,0.1,5]", "1.50"]);
  });

  test("may write its own numbers in any way that JSON knows", async () => {
    const topic = await newTopic(2);
    const text = `{"records":[{"value":"v","partition":1.0,"timestamp":1.7e12}]}`;
    const headers = { "content-type": "application/json" };
    await answer(request(`/v1/topics/${topic}/records`, { method: "POST", headers, body: text }));
    expect(await stored(topic, 1)).toMatchObject([{ timestamp: 1_700_000_000_000 }]);
  });

  test("carries headers as an object, or as a list that may repeat a name", async () => {
    const topic = await newTopic();
    await answer(
      produce(topic, {
        records: [
          { value: "1", headers: { a: "x", b: { base64: "/w==" }, c: null } },
          { value: "2", headers: [{ key: "a", value: "1" }, { key: "a", value: "2" }, { key: "" }] },
          { value: "3", headers: {} },
        ],
      }),
    );
    expect((await stored(topic)).map((record: { headers: unknown }) => record.headers)).toEqual([
      [
        { key: "a", value: "x" },
        { key: "b", value: { base64: "/w==" } },
        { key: "c", value: null },
      ],
      [
        { key: "a", value: "1" },
        { key: "a", value: "2" },
        { key: "", value: null },
      ],
      [],
    ]);
  });

  test("goes where the Java client would send its key", async () => {
    const topic = await newTopic(5);
    const keys = ["ORD", "ATL", "LAX", "a", "bc", "d€f", ""];
    const { records } = await answer(produce(topic, { records: keys.map((key) => ({ key, value: key })) }));
    expect(records.map((record: { partition: number }) => record.partition)).toEqual(
      keys.map((key) => partitionForKey(bytes(key), 5)),
    );
  });

  test("without a key goes with the others of its request to one partition, or where it says", async () => {
    const topic = await newTopic(50);
    const { records } = await answer(
      produce(topic, {
        records: [{ value: "a" }, { value: "b" }, { value: "c", partition: 7 }, { value: "d" }],
      }),
    );
    const [a, b, c, d] = records;
    expect(c).toEqual({ partition: 7, offset: a.partition === 7 ? 2 : 0 });
    expect([b.partition, d.partition]).toEqual([a.partition, a.partition]);
  });
});

describe("a request that is wrong in itself", () => {
  const wrong: [what: string, records: unknown, status: number, code: string][] = [
    ["a name that does not exist", [{ value: "a" }, { vaule: "b" }], 400, "INVALID_REQUEST"],
    ["base64 that is none", [{ value: "a" }, { value: { base64: "!" } }], 400, "INVALID_REQUEST"],
    ["base64 without its padding", [{ value: { base64: "AA" } }], 400, "INVALID_REQUEST"],
    ["base64 that is no string", [{ value: { base64: 1 } }], 400, "INVALID_REQUEST"],
    ["half a character", [{ value: "a" }, { value: "\ud800" }], 400, "INVALID_REQUEST"],
    ["a header that is a number", [{ value: "a", headers: { a: 1 } }], 400, "INVALID_REQUEST"],
    ["a header list of another form", [{ value: "a", headers: [{ name: "a" }] }], 400, "INVALID_REQUEST"],
    [
      "headers without number",
      [{ headers: Array.from({ length: 1_001 }, () => ({ key: "a" })) }],
      400,
      "INVALID_RECORD",
    ],
    ["a negative partition", [{ value: "a", partition: -1 }], 400, "INVALID_REQUEST"],
    [
      "a partition that does not exist",
      [{ value: "a" }, { value: "b", partition: 2 }],
      404,
      "UNKNOWN_TOPIC_OR_PARTITION",
    ],
    ["a timestamp that is no whole number", [{ value: "a", timestamp: 1.5 }], 400, "INVALID_REQUEST"],
    [
      "a timestamp in the far future",
      [{ value: "a" }, { value: "b", timestamp: 9e15 }],
      400,
      "INVALID_TIMESTAMP",
    ],
    [
      "a record too large for the topic",
      [{ value: "a" }, { value: "x".repeat(1_048_588) }],
      413,
      "MESSAGE_TOO_LARGE",
    ],
    ["no records", [], 400, "INVALID_REQUEST"],
    ["records that are no list", {}, 400, "INVALID_REQUEST"],
  ];
  test.each(wrong)("for %s is refused as a whole", async (_what, records, status, code) => {
    const topic = await newTopic(2);
    expect(await refusal(produce(topic, { records }), status)).toBe(code);
    expect(await logEnd(topic, 0)).toBe(0);
    expect(await logEnd(topic, 1)).toBe(0);
  });

  test("for a time that cannot be is refused as a whole, though the leader's clock stamps the records", async () => {
    const topic = await newTopic(2, { "message.timestamp.type": "LogAppendTime" });
    const records = [
      { value: "a", partition: 0 },
      { value: "b", partition: 1, timestamp: 8.8e15 },
    ];
    expect(await refusal(produce(topic, { records }), 400)).toBe("INVALID_TIMESTAMP");
    // Behind whatever the refused request may have begun.
    await answer(produce(topic, { records: [{ value: "c", partition: 0 }] }));
    expect(await logEnd(topic, 0)).toBe(1);
  });

  test("does not create its topic", async () => {
    const topic = `never-${crypto.randomUUID()}`;
    await refusal(produce(topic, { records: [{ value: "a", partition: 1 }] }), 404);
    await refusal(produce(topic, { records: [{ value: "x".repeat(1_048_588) }] }), 413);
    await refusal(request(`/v1/topics/${topic}`), 404);
    await answer(produce(topic, { records: [{ value: "a" }] }));
    await answer(request(`/v1/topics/${topic}`));
  });

  test("names the record that is wrong", async () => {
    const topic = await newTopic();
    const { error } = await answer(
      produce(topic, { records: [{ value: "a" }, { value: "b", partition: "0" }] }),
      400,
    );
    expect(error.message).toContain("records.1.partition");
  });
});

test("an unknown topic is not created where the cluster does not say so", async () => {
  const topic = `unknown-${crypto.randomUUID()}`;
  const body = { records: [{ value: "a" }] };
  const closed = { EDGELOG_AUTO_CREATE_TOPICS: "false" };
  expect(await refusal(send("POST", `/v1/topics/${topic}/records`, body, closed), 404)).toBe(
    "UNKNOWN_TOPIC_OR_PARTITION",
  );
});

test("records larger together than a batch may be are stored in order, over several batches", async () => {
  const topic = await newTopic(1, { "max.message.bytes": "2000" });
  const sent = Array.from({ length: 40 }, (_, index) => `${index}:`.padEnd(300, "x"));
  const { records } = await answer(produce(topic, { records: sent.map((value) => ({ value })) }));
  expect(records).toEqual(sent.map((_, offset) => ({ partition: 0, offset })));
  expect(await values(topic)).toEqual(sent);
});

test("batches are no larger than a small segment", async () => {
  const topic = await newTopic(1, { "segment.bytes": "1000" });
  const sent = Array.from({ length: 10 }, (_, index) => `${index}:`.padEnd(400, "x"));
  await answer(produce(topic, { records: sent.map((value) => ({ value })) }));
  expect(await values(topic)).toEqual(sent);
  expect(await refusal(produce(topic, { records: [{ value: "x".repeat(1_000) }] }), 413)).toBe(
    "RECORD_LIST_TOO_LARGE",
  );
});

test("a record as large as the topic allows is stored", async () => {
  const topic = await newTopic(1, { "max.message.bytes": "2000" });
  const overhead = encodeBatch([{ timestamp: 0, key: null, value: bytes("x".repeat(1_000)) }]).length - 1_000;
  await refusal(produce(topic, { records: [{ value: "x".repeat(2_001 - overhead) }] }), 413);
  await answer(produce(topic, { records: [{ value: "x".repeat(2_000 - overhead) }] }));
});

test.each(["gzip", "zstd"])("batches are compressed with %s when asked", async (compression) => {
  const topic = await newTopic();
  const value = "abc".repeat(10_000);
  await answer(produce(topic, { records: [{ value }] }, `?compression=${compression}`));
  const raw = await consume(topic, "", RECORD_BATCH);
  expect((await raw.arrayBuffer()).byteLength).toBeLessThan(1_000);
  expect(await values(topic)).toEqual([value]);
});

describe("NDJSON", () => {
  const ndjson = (topic: string, body: string, query = "") =>
    request(`/v1/topics/${topic}/records${query}`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body,
    });

  test("has a record a line", async () => {
    const topic = await newTopic(2);
    const { records } = await answer(
      ndjson(topic, '{"value":"a"}\n\n{"value":{"b":1.0}}\r\n{"key":"k","value":null}', "?partition=1"),
    );
    expect(records).toEqual([0, 1, 2].map((offset) => ({ partition: 1, offset })));
    expect(await values(topic, 1)).toEqual(["a", '{"b":1.0}', null]);
  });

  test("names the line that is wrong, and stores nothing", async () => {
    const topic = await newTopic();
    const { error } = await answer(ndjson(topic, '{"value":"a"}\n{"value":'), 400);
    expect(error).toMatchObject({ code: "INVALID_REQUEST", message: expect.stringMatching(/^Line 2/) });
    expect((await answer(ndjson(topic, '{"value":"a"}\n\n{"valu":1}'), 400)).error.message).toMatch(
      /^line 3/,
    );
    expect(await logEnd(topic)).toBe(0);
  });

  test("without a record is refused", async () => {
    expect(await refusal(ndjson(await newTopic(), "\n \n"), 400)).toBe("INVALID_REQUEST");
  });
});

describe("an idempotent request", () => {
  async function producer() {
    const identity = await answer(send("POST", "/v1/producers"), 201);
    expect(identity).toEqual({ producer_id: expect.any(Number), producer_epoch: 0 });
    return identity;
  }

  test("is stored once, however often it is sent", async () => {
    const topic = await newTopic();
    const body = {
      ...(await producer()),
      base_sequence: 0,
      partition: 0,
      records: [{ value: "a" }, { value: "b" }],
    };
    const first = await answer(produce(topic, body));
    expect(await answer(produce(topic, body))).toEqual(first);
    expect(await values(topic)).toEqual(["a", "b"]);
  });

  test("that leaves a gap is refused", async () => {
    const topic = await newTopic();
    const body = { ...(await producer()), partition: 0, records: [{ value: "a" }] };
    await answer(produce(topic, { ...body, base_sequence: 0 }));
    expect(await refusal(produce(topic, { ...body, base_sequence: 2 }), 409).catch(String)).toMatch(
      /OUT_OF_ORDER/,
    );
    expect(await values(topic)).toEqual(["a"]);
  });

  test("takes its fields from the query string too, but not two different ones", async () => {
    const topic = await newTopic();
    const { producer_id: id } = await producer();
    const query = `?producer_id=${id}&producer_epoch=0&base_sequence=0&partition=0`;
    await answer(produce(topic, { records: [{ value: "a" }] }, query));
    await answer(produce(topic, { records: [{ value: "a" }] }, query));
    expect(await values(topic)).toEqual(["a"]);
    await refusal(produce(topic, { partition: 1, records: [{ value: "a" }] }, query), 400);
  });

  test.each([
    ["without its partition", { partition: undefined }],
    ["without its epoch", { producer_epoch: undefined }],
    ["with a record for another partition", { records: [{ value: "a", partition: 1 }] }],
    ["with an epoch that is no int16", { producer_epoch: 32_768 }],
  ])("%s is refused", async (_what, change) => {
    const topic = await newTopic(2);
    const body = {
      ...(await producer()),
      base_sequence: 0,
      partition: 0,
      records: [{ value: "a" }],
      ...change,
    };
    expect(await refusal(produce(topic, body), 400)).toBe("INVALID_REQUEST");
  });

  test("is one batch even where others would be split, and so recognized", async () => {
    const topic = await newTopic(1, { "max.message.bytes": "1900000" });
    const records = Array.from({ length: 3 }, (_, index) => ({ value: `${index}`.repeat(600_000) }));
    const body = { ...(await producer()), base_sequence: 0, partition: 0, records };
    await answer(produce(topic, body));
    expect((await answer(produce(topic, body))).records[2]).toEqual({ partition: 0, offset: 2 });
    expect(await logEnd(topic)).toBe(3);
  });

  test("that does not fit into one batch is refused as a whole", async () => {
    const topic = await newTopic(1, { "max.message.bytes": "1000" });
    const records = [{ value: "x".repeat(600) }, { value: "y".repeat(600) }];
    const body = { ...(await producer()), base_sequence: 0, partition: 0, records };
    expect(await refusal(produce(topic, body), 413)).toBe("MESSAGE_TOO_LARGE");
    expect(await logEnd(topic)).toBe(0);
  });
});

describe("a raw batch", () => {
  const send = (topic: string, batch: Uint8Array, query = "?partition=0") =>
    request(`/v1/topics/${topic}/records${query}`, {
      method: "POST",
      headers: { "content-type": RECORD_BATCH },
      body: batch,
    });
  const batch = (...texts: string[]) =>
    encodeBatch(texts.map((text) => ({ timestamp: 1_700_000_000_000, key: bytes("k"), value: bytes(text) })));

  test("is stored and comes back byte for byte, but for its offset and epoch", async () => {
    const topic = await newTopic();
    await answer(send(topic, batch("first")));
    const sent = batch("a", "b");
    expect(await answer(send(topic, sent))).toEqual({
      records: [
        { partition: 0, offset: 1 },
        { partition: 0, offset: 2 },
      ],
    });
    const raw = new Uint8Array(await (await consume(topic, "?offset=1", RECORD_BATCH)).arrayBuffer());
    expect(raw.slice(16)).toEqual(sent.slice(16));
    expect(raw.slice(0, 8)).toEqual(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 1]));
  });

  test("with a flipped bit, cut short or followed by something is refused, and creates no topic", async () => {
    const topic = `raw-${crypto.randomUUID()}`;
    const flipped = batch("a");
    flipped[flipped.length - 3] = 0xff;
    expect(await refusal(send(topic, flipped), 400)).toBe("CORRUPT_MESSAGE");
    await refusal(send(topic, batch("a").slice(0, -1)), 400);
    await refusal(send(topic, new Uint8Array([...batch("a"), 0])), 400);
    await refusal(send(topic, new Uint8Array()), 400);
    await refusal(send(topic, batch("a"), "?partition=1"), 404);
    const future = encodeBatch([{ timestamp: Date.now() + 7_200_000, key: null, value: null }]);
    expect(await refusal(send(topic, future), 400)).toBe("INVALID_TIMESTAMP");
    expect(await refusal(send(topic, batch("x".repeat(1_048_588))), 413)).toBe("MESSAGE_TOO_LARGE");
    await refusal(request(`/v1/topics/${topic}`), 404);
  });

  test("whose CRC is right but whose records are not is refused", async () => {
    const topic = await newTopic();
    const sent = batch("a", "b");
    const view = new DataView(sent.buffer);
    // The first record's length.
    view.setInt8(61, 126);
    view.setUint32(17, crc32c(sent, 21));
    expect(await refusal(send(topic, sent), 400)).toBe("INVALID_RECORD");
    expect(await logEnd(topic)).toBe(0);
  });

  test("of a transaction is refused", async () => {
    const record = { timestamp: 1, key: null, value: bytes("a") };
    const sent = encodeBatch([record], {
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
      transactional: true,
    });
    expect(await refusal(send(await newTopic(), sent), 409)).toBe("INVALID_TXN_STATE");
  });

  test("needs its partition and takes no other parameter", async () => {
    const topic = await newTopic();
    await refusal(send(topic, batch("a"), ""), 400);
    await refusal(send(topic, batch("a"), "?partition=0&compression=gzip"), 400);
    expect(await logEnd(topic)).toBe(0);
  });
});

test("when a batch of a partition is refused, none of the request's later ones is stored there", async () => {
  const topic = await newTopic(2, { "max.message.bytes": "1000" });
  await answer(produce(topic, { records: [{ value: "0", partition: 0 }] }));
  // Lowered behind this isolate's back and pushed to the leader: the plan is made with the limit as it was cached.
  const controller = env.CONTROLLER.get(env.CONTROLLER.idFromName(CONTROLLER_NAME));
  await controller.alterTopicConfigs(topic, { "max.message.bytes": "500" });
  await runDurableObjectAlarm(controller);
  const records = [
    { value: "1", partition: 0 },
    { value: "x".repeat(915), partition: 0 },
    { value: "2", partition: 0 },
    { value: "3", partition: 1 },
  ];
  const tooLarge = { code: "MESSAGE_TOO_LARGE", retriable: false, message: expect.any(String) };
  expect(await answer(produce(topic, { records }), 207)).toEqual({
    records: [
      { partition: 0, offset: 1 },
      { error: tooLarge },
      { error: tooLarge },
      { partition: 1, offset: 0 },
    ],
  });
  expect(await values(topic, 0)).toEqual(["0", "1"]);
  expect(await answer(produce(topic, { records: records.slice(1, 3) }), 413)).toEqual({
    error: tooLarge,
    records: [{ error: tooLarge }, { error: tooLarge }],
  });
});
