import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  HTTP_BODY_BYTES_MAX,
  HTTP_JSON_DEPTH_MAX,
  HTTP_RECORDS_PER_REQUEST_MAX,
} from "../../src/model/limits.ts";
import { answer, consume, newTopic, refusal, request } from "./http.ts";

const JSON_TYPE = { "content-type": "application/json" };

function post(
  topic: string,
  body: BodyInit | null,
  headers: Record<string, string> = JSON_TYPE,
): Promise<Response> {
  return request(`/v1/topics/${topic}/records`, { method: "POST", headers, body });
}

async function storedRecords(topic: string): Promise<number> {
  return (await answer(request(`/v1/topics/${topic}/partitions/0`))).high_watermark;
}

describe("a body's type", () => {
  test.each([
    {},
    { "content-type": "text/plain" },
    { "content-type": "application/x-www-form-urlencoded" },
    { "content-type": "application/json; charset=iso-8859-1" },
    { "content-type": "nonsense" },
  ])("%o is refused", async (headers: Record<string, string>) => {
    const topic = await newTopic();
    const body = new TextEncoder().encode('{"records":[{"value":"a"}]}');
    expect(await refusal(post(topic, body, headers), 415)).toBe("UNSUPPORTED_MEDIA_TYPE");
    expect(await storedRecords(topic)).toBe(0);
  });

  test("may carry parameters and be written in any case", async () => {
    const topic = await newTopic();
    await answer(
      post(topic, '{"records":[{"value":"a"}]}', { "content-type": 'Application/JSON; charset="UTF-8"' }),
    );
    expect(await storedRecords(topic)).toBe(1);
  });
});

describe("gzip", () => {
  const gzipped = { ...JSON_TYPE, "content-encoding": "gzip" };

  test("is undone", async () => {
    const topic = await newTopic();
    await answer(post(topic, gzipSync('{"records":[{"value":"a"}]}'), gzipped));
    expect(await answer(consume(topic))).toMatchObject({ records: [{ value: "a" }] });
  });

  test.each([
    ["no gzip", new TextEncoder().encode('{"records":[{"value":"a"}]}')],
    ["cut short", gzipSync('{"records":[{"value":"a"}]}').subarray(0, 20)],
    ["nothing", new Uint8Array()],
  ])("that is %s is refused", async (_what, body) => {
    expect(await refusal(post(await newTopic(), body, gzipped), 400)).toBe("INVALID_REQUEST");
  });

  test("that inflates beyond the limit is refused", async () => {
    const bomb = gzipSync(new Uint8Array(HTTP_BODY_BYTES_MAX + 1));
    expect(bomb.length).toBeLessThan(20_000);
    expect(await refusal(post(await newTopic(), bomb, gzipped), 413)).toBe("CONTENT_TOO_LARGE");
  });

  test("is the only encoding", async () => {
    const headers = { ...JSON_TYPE, "content-encoding": "br" };
    expect(await refusal(post(await newTopic(), "{}", headers), 415)).toBe("UNSUPPORTED_MEDIA_TYPE");
  });
});

describe("a body larger than the limit", () => {
  test("is refused by its length alone", async () => {
    const body = new Uint8Array(HTTP_BODY_BYTES_MAX + 1);
    expect(await refusal(post(await newTopic(), body), 413)).toBe("CONTENT_TOO_LARGE");
  });

  test("is read no further than the limit when it does not tell its length", async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536));
      },
    });
    expect(await refusal(post(await newTopic(), endless), 413)).toBe("CONTENT_TOO_LARGE");
    expect(sent).toBeLessThan(HTTP_BODY_BYTES_MAX + 1_000_000);
  });
});

describe("JSON", () => {
  test.each([
    ["nothing", ""],
    ["cut short", '{"records":[{"value":"a"}]'],
    ["followed by more", '{"records":[{"value":"a"}]} {}'],
    ["a list", "[]"],
    ["null", "null"],
    ["a string", '"records"'],
    ["with a comment", '{"records":[{"value":"a"}]/**/}'],
    ["with NaN", '{"records":[{"value":NaN}]}'],
    ["with a line break in a string", '{"records":[{"value":"a\nb"}]}'],
  ])("that is %s is refused", async (_what, body) => {
    const topic = await newTopic();
    expect(await refusal(post(topic, body), 400)).toBe("INVALID_REQUEST");
    expect(await storedRecords(topic)).toBe(0);
  });

  test("that is not UTF-8 is refused", async () => {
    const body = new TextEncoder().encode('{"records":[{"value":"a"}]}');
    body[22] = 0xff;
    expect(await refusal(post(await newTopic(), body), 400)).toBe("INVALID_REQUEST");
  });

  test("may be nested so deep and no deeper", async () => {
    const topic = await newTopic();
    const nested = (levels: number) => `{"records":[{"value":${"[".repeat(levels)}${"]".repeat(levels)}}]}`;
    await answer(post(topic, nested(HTTP_JSON_DEPTH_MAX - 3)));
    expect(await refusal(post(topic, nested(HTTP_JSON_DEPTH_MAX - 2)), 400)).toBe("INVALID_REQUEST");
    expect(await refusal(post(topic, nested(1_000_000)), 400)).toBe("INVALID_REQUEST");
    expect(await storedRecords(topic)).toBe(1);
  });

  test("does not count brackets inside strings", async () => {
    const topic = await newTopic();
    await answer(
      post(topic, JSON.stringify({ records: [{ value: `\\"${"[".repeat(100)}\\` }, { value: ["]}"] }] })),
    );
    expect(await answer(consume(topic))).toMatchObject({
      records: [{ value: `\\"${"[".repeat(100)}\\` }, {}],
    });
  });

  test("with too many records is refused", async () => {
    const topic = await newTopic();
    const records = (count: number) => `{"records":[${Array(count).fill("{}").join(",")}]}`;
    await refusal(post(topic, records(HTTP_RECORDS_PER_REQUEST_MAX + 1)), 400);
    const { records: entries } = await answer(post(topic, records(HTTP_RECORDS_PER_REQUEST_MAX)));
    expect(entries.length).toBe(HTTP_RECORDS_PER_REQUEST_MAX);
    expect(await storedRecords(topic)).toBe(HTTP_RECORDS_PER_REQUEST_MAX);
  });
});
