import { describe, expect, test } from "vitest";
import { answerBytes } from "../../src/cluster/in-flight.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { HTTP_ANSWER_BYTES_IN_FLIGHT_MAX } from "../../src/model/limits.ts";
import { answer, consume, newTopic, produce, refusal, request, send } from "./http.ts";

const NDJSON = "application/x-ndjson";
const RECORD_BATCH = "application/vnd.kafka.recordbatch";

/** A topic of one partition whose every value is a request, and so a batch, of its own. */
async function topicOf(...batches: unknown[][]): Promise<string> {
  const topic = await newTopic();
  for (const values of batches) {
    await answer(produce(topic, { records: values.map((value) => ({ value })) }));
  }
  return topic;
}

const offsets = (answered: { records: { offset: number }[] }) => answered.records.map(({ offset }) => offset);

test("a read inside a batch begins with the record asked for and says where to go on", async () => {
  const topic = await topicOf(["a", "b", "c"], ["d"]);
  expect(await answer(consume(topic, "?offset=1"))).toEqual({
    records: ["b", "c", "d"].map((value, index) => ({
      offset: index + 1,
      timestamp: expect.any(Number),
      key: null,
      value,
      headers: [],
    })),
    next_offset: 4,
    high_watermark: 4,
    log_start_offset: 0,
  });
});

test("max_bytes bounds the answer to whole batches, and at least one comes", async () => {
  const topic = await topicOf(["a", "b"], ["c"], ["d"]);
  const first = await answer(consume(topic, "?offset=1&max_bytes=1"));
  expect([offsets(first), first.next_offset, first.high_watermark]).toEqual([[1], 2, 4]);
  const second = await answer(consume(topic, `?offset=${first.next_offset}&max_bytes=1`));
  expect([offsets(second), second.next_offset]).toEqual([[2], 3]);
});

test("earliest is the default, and latest finds nothing until something comes", async () => {
  const topic = await topicOf(["a"], ["b"]);
  expect(offsets(await answer(consume(topic)))).toEqual([0, 1]);
  expect(offsets(await answer(consume(topic, "?offset=earliest")))).toEqual([0, 1]);
  expect(await answer(consume(topic, "?offset=latest"))).toMatchObject({ records: [], next_offset: 2 });
});

test("an offset beyond the log end is refused with what there is", async () => {
  const topic = await topicOf(["a"]);
  expect(await answer(consume(topic, "?offset=1"))).toMatchObject({ records: [], next_offset: 1 });
  expect(await answer(consume(topic, "?offset=2"), 416)).toEqual({
    error: { code: "OFFSET_OUT_OF_RANGE", message: expect.any(String), retriable: false },
    log_start_offset: 0,
    high_watermark: 1,
  });
});

test("what is not UTF-8 comes as base64, a byte order mark and U+FFFD as themselves", async () => {
  const topic = await topicOf([{ base64: "/w==" }, "\ufeffa", "\ufffd", "\u0000", "𝄞"]);
  const { records } = await answer(consume(topic));
  expect(records.map(({ value }: { value: unknown }) => value)).toEqual([
    { base64: "/w==" },
    "\ufeffa",
    "\ufffd",
    "\u0000",
    "𝄞",
  ]);
});

test("value=json parses values that are JSON, keeps their digits, and leaves the others", async () => {
  const topic = await topicOf(['{"a":\n[1]}', "12345678901234567890", "no json", null, { base64: "/w==" }]);
  const text = await (await consume(topic, "?value=json", NDJSON)).text();
  const lines = text.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).value)).toEqual([
    { a: [1] },
    Number("12345678901234567890"),
    "no json",
    null,
    { base64: "/w==" },
  ]);
  expect(lines[1]).toContain('"value":12345678901234567890,');
});

test("NDJSON has a record a line and its position in headers", async () => {
  const topic = await topicOf(["a\nb", "c"]);
  const response = await consume(topic, "?offset=1", NDJSON);
  expect(response.headers.get("content-type")).toBe(NDJSON);
  expect(response.headers.get("edgelog-next-offset")).toBe("2");
  expect(response.headers.get("edgelog-high-watermark")).toBe("2");
  expect(response.headers.get("edgelog-log-start-offset")).toBe("0");
  expect(await response.text()).toMatch(/^\{"offset":1,.*\}\n$/);
});

describe("waiting", () => {
  test("a read at the log end is answered by the next append", async () => {
    const topic = await topicOf(["a"]);
    const waiting = consume(topic, "?offset=1&max_wait_ms=20000");
    await answer(produce(topic, { records: [{ value: "b" }] }));
    expect(await answer(waiting)).toMatchObject({ records: [{ offset: 1, value: "b" }], next_offset: 2 });
  });

  test("ends with nothing after max_wait_ms", async () => {
    const topic = await topicOf(["a"]);
    expect(await answer(consume(topic, "?offset=1&max_wait_ms=50"))).toMatchObject({
      records: [],
      next_offset: 1,
    });
  });

  test("goes on until min_bytes are there", async () => {
    const topic = await topicOf(["a"]);
    const waiting = consume(topic, "?offset=1&max_wait_ms=20000&min_bytes=1000");
    await answer(produce(topic, { records: [{ value: "small" }] }));
    await answer(produce(topic, { records: [{ value: "x".repeat(1_000) }] }));
    expect(offsets(await answer(waiting))).toEqual([1, 2]);
  });
});

test("a compressed answer larger than all of its batches is streamed whole", async () => {
  const topic = await newTopic();
  const values = Array.from({ length: 4 }, (_, index) => `${index}`.repeat(3_000_000));
  for (const value of values) {
    const batch = encodeBatch([{ timestamp: 1, key: null, value: new TextEncoder().encode(value) }], {
      compression: "gzip",
    });
    const headers = { "content-type": RECORD_BATCH };
    await answer(
      request(`/v1/topics/${topic}/records?partition=0`, { method: "POST", headers, body: batch }),
    );
  }
  const { records } = await answer(consume(topic));
  expect(records.map(({ value }: { value: string }) => value.length)).toEqual(
    values.map(({ length }) => length),
  );
  expect(records.map(({ value }: { value: string }) => value[0])).toEqual(["0", "1", "2", "3"]);
});

test.each([
  [undefined, "application/json"],
  ["*/*", "application/json"],
  ["text/html, */*;q=0.1", "application/json"],
  ["application/json;q=0.5, application/x-ndjson", NDJSON],
  ["application/jsonl", NDJSON],
  ["application/*", "application/json"],
  ["application/vnd.kafka.recordbatch, application/json;q=0.9", RECORD_BATCH],
])("Accept %s is answered in %s", async (accept, type) => {
  const topic = await topicOf(["a"]);
  const headers: Record<string, string> = accept === undefined ? {} : { accept };
  const response = await request(`/v1/topics/${topic}/partitions/0/records`, { headers });
  expect([response.status, response.headers.get("content-type")]).toEqual([200, type]);
  await response.body?.cancel();
});

test.each(["text/html", "application/json;q=0", "image/*", "text/event-stream"])(
  "Accept %s is refused",
  async (accept) => {
    expect(await refusal(consume(await newTopic(), "", accept), 406)).toBe("NOT_ACCEPTABLE");
  },
);

test.each([
  ["offset=-1"],
  ["offset=1.5"],
  ["offset=abc"],
  ["offset="],
  ["offset=99999999999999999999"],
  ["offset=0&offset=1"],
  ["max_bytes=0"],
  ["max_bytes=99999999999"],
  ["max_wait_ms=60001"],
  ["min_bytes=x"],
  ["isolation=serializable"],
  ["value=xml"],
  ["ofset=1"],
  ["__proto__=1"],
])("the query %s is refused", async (query) => {
  expect(await refusal(consume(await topicOf(["a"]), `?${query}`), 400)).toBe("INVALID_REQUEST");
});

test.each([
  ["/partitions/1/records", 404, "UNKNOWN_TOPIC_OR_PARTITION"],
  ["/partitions/2147483647/records", 404, "UNKNOWN_TOPIC_OR_PARTITION"],
  ["/partitions/2147483648/records", 400, "INVALID_REQUEST"],
  ["/partitions/-1/records", 400, "INVALID_REQUEST"],
  ["/partitions/0x0/records", 400, "INVALID_REQUEST"],
])("%s is answered with %i", async (path, status, code) => {
  expect(await refusal(request(`/v1/topics/${await newTopic()}${path}`), status)).toBe(code);
});

describe("offsets", () => {
  const find = async (topic: string, query = "") =>
    answer(request(`/v1/topics/${topic}/partitions/0/offsets${query}`));

  test("are found by time, at both ends, and at the youngest record", async () => {
    const topic = await newTopic();
    for (const timestamp of [1_000, 3_000, 2_000]) await answer(produce(topic, { records: [{ timestamp }] }));
    expect(await find(topic)).toMatchObject({ offset: 3 });
    expect(await find(topic, "?timestamp=latest")).toMatchObject({ offset: 3 });
    expect(await find(topic, "?timestamp=earliest")).toMatchObject({ offset: 0 });
    expect(await find(topic, "?timestamp=0")).toMatchObject({ offset: 0, timestamp: 1_000 });
    expect(await find(topic, "?timestamp=1001")).toMatchObject({ offset: 1, timestamp: 3_000 });
    expect(await find(topic, "?timestamp=max-timestamp")).toMatchObject({ offset: 1, timestamp: 3_000 });
    expect(await find(topic, "?timestamp=3001")).toMatchObject({ offset: -1, timestamp: -1 });
  });

  test("are never found before the log start, though it lies within a batch", async () => {
    const topic = await newTopic();
    const records = [1_000, 2_000, 3_000].map((timestamp) => ({ timestamp }));
    await answer(produce(topic, { records }));
    await answer(send("DELETE", `/v1/topics/${topic}/partitions/0/records?before_offset=1`));
    expect(await find(topic, "?timestamp=500")).toMatchObject({ offset: 1, timestamp: 2_000 });
    expect(await find(topic, "?timestamp=2500")).toMatchObject({ offset: 2, timestamp: 3_000 });
  });

  test.each(["timestamp=yesterday", "timestamp=-1", "time=1"])("%s is refused", async (query) => {
    const topic = await newTopic();
    expect(await refusal(request(`/v1/topics/${topic}/partitions/0/offsets?${query}`), 400)).toBe(
      "INVALID_REQUEST",
    );
  });
});

describe("deleting records", () => {
  const remove = (topic: string, query: string) =>
    send("DELETE", `/v1/topics/${topic}/partitions/0/records${query}`);

  test("moves the log start", async () => {
    const topic = await topicOf(["a", "b", "c"]);
    expect(await answer(remove(topic, "?before_offset=1"))).toEqual({ log_start_offset: 1 });
    expect(offsets(await answer(consume(topic)))).toEqual([1, 2]);
    expect(await refusal(consume(topic, "?offset=0").then(noBounds), 416)).toBe("OFFSET_OUT_OF_RANGE");
    expect(await answer(remove(topic, "?before_offset=latest"))).toEqual({ log_start_offset: 3 });
    expect(await answer(consume(topic))).toEqual({
      records: [],
      next_offset: 3,
      high_watermark: 3,
      log_start_offset: 3,
    });
  });

  test.each([
    ["", 400],
    ["?before_offset=-1", 400],
    ["?before_offset=x", 400],
    ["?before_offset=4", 416],
  ])("with %s is refused and deletes nothing", async (query, status) => {
    const topic = await topicOf(["a", "b", "c"]);
    await refusal(remove(topic, query), status);
    expect(offsets(await answer(consume(topic)))).toEqual([0, 1, 2]);
  });
});

async function noBounds(response: Response): Promise<Response> {
  const { error } = await answer(response, response.status);
  return Response.json({ error }, { status: response.status });
}

test("a partition is described", async () => {
  const topic = await topicOf(["a"], ["b"]);
  expect(await answer(request(`/v1/topics/${topic}/partitions/0`))).toMatchObject({
    topic,
    partition: 0,
    leader_epoch: 0,
    log_start_offset: 0,
    high_watermark: 2,
    last_stable_offset: 2,
    local_segments: 1,
    remote_segments: 0,
  });
});

test("HEAD holds nothing of the answers that it does not read", async () => {
  const topic = await newTopic();
  const value = "x".repeat(1_000_000);
  for (let n = 0; n < 8; n++) await answer(produce(topic, { records: [{ value }] }));
  const path = `/v1/topics/${topic}/partitions/0/records?max_bytes=8388608`;
  for (const accept of [RECORD_BATCH, NDJSON]) {
    for (let n = 0; n < 8; n++) {
      const response = await request(path, { method: "HEAD", headers: { accept } });
      expect([response.status, response.headers.get("edgelog-next-offset")]).toEqual([200, "8"]);
    }
  }
  const whole = await request(path, { headers: { accept: RECORD_BATCH } });
  expect([whole.status, (await whole.arrayBuffer()).byteLength]).toEqual([200, expect.any(Number)]);
});

test.each(["application/json", RECORD_BATCH])(
  "however many take nothing of an answer of %s, there is room for one who does, and memory is bounded",
  async (accept) => {
    const topic = await newTopic();
    const value = new Uint8Array(900_000);
    for (let i = 0; i < 10; i++) {
      const batch = encodeBatch([{ timestamp: 1, key: null, value }]);
      const init = { method: "POST", headers: { "content-type": RECORD_BATCH }, body: batch };
      await answer(request(`/v1/topics/${topic}/records?partition=0`, init));
    }
    const slow: Response[] = [];
    for (let reader = 0; reader < 20; reader++) {
      slow.push(await consume(topic, "?max_bytes=8388608", accept));
      expect(answerBytes.held()).toBeLessThan(HTTP_ANSWER_BYTES_IN_FLIGHT_MAX);
    }
    expect(slow.map(({ status }) => status)).toContain(200);
    const small = await topicOf(["a"]);
    expect(offsets(await answer(consume(small)))).toEqual([0]);
    await Promise.all(slow.map(({ body }) => body?.cancel()));
    await expect.poll(() => answerBytes.held()).toBe(0);
  },
);
