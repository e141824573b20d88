import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogRecord } from "../../src/log/record.ts";
import { recordToJson, recordToJsonText } from "../../src/subscribe/record-json.ts";

const encoder = new TextEncoder();

function record(value: Uint8Array | string | null, key: Uint8Array | null = null): LogRecord {
  return {
    offset: 7,
    timestamp: 1_700_000_000_000,
    key,
    value: typeof value === "string" ? encoder.encode(value) : value,
    headers: [],
  };
}

const bytes = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.string().map((text) => encoder.encode(text)),
  ),
);
const anyRecord: fc.Arbitrary<LogRecord> = fc.record({
  offset: fc.maxSafeNat(),
  timestamp: fc.maxSafeNat(),
  key: bytes,
  value: bytes,
  headers: fc.array(fc.record({ key: fc.string({ unit: "grapheme" }), value: bytes }), { maxLength: 3 }),
});

/** What a reader makes of it. */
function bytesOf(json: unknown): Uint8Array | null {
  if (json === null) return null;
  if (typeof json === "string") return encoder.encode(json);
  if (typeof json === "object" && "base64" in json && typeof json.base64 === "string") {
    return new Uint8Array(Buffer.from(json.base64, "base64"));
  }
  throw new Error(`neither text nor base64: ${JSON.stringify(json)}`);
}

describe("a record as JSON", () => {
  it("gives every byte back", () => {
    fc.assert(
      fc.property(anyRecord, (original) => {
        const json = recordToJson(original);
        expect(JSON.parse(recordToJsonText(original))).toEqual(json);
        expect({
          ...json,
          key: bytesOf(json.key),
          value: bytesOf(json.value),
          headers: json.headers.map(({ key, value }) => ({ key, value: bytesOf(value) })),
        }).toEqual(original);
      }),
    );
  });

  it("keeps a byte order mark, and does not replace what is not UTF-8", () => {
    expect(recordToJson(record(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).value).toBe("\ufeffa");
    expect(recordToJson(record(new Uint8Array([0x61, 0xff]))).value).toEqual({ base64: "Yf8=" });
  });

  it("is one line, whatever the value looks like", () => {
    const pretty = JSON.stringify({ a: [1, "two\nlines"] }, undefined, 2).replaceAll("\n", "\r\n");
    for (const options of [{}, { value: "json" as const }]) {
      expect(recordToJsonText(record(pretty), options)).not.toMatch(/[\r\n]/);
    }
    expect(JSON.parse(recordToJsonText(record(pretty), { value: "json" })).value).toEqual({
      a: [1, "two\nlines"],
    });
  });

  it("with value=json has values as what they say, with all digits of their numbers", () => {
    expect(recordToJsonText(record('{"n":12345678901234567890.10}'), { value: "json" })).toContain(
      '"value":{"n":12345678901234567890.10}',
    );
    expect(recordToJson(record("[1,null]"), { value: "json" }).value).toEqual([1, null]);
  });

  it("with value=json takes deep values as they are, and leaves alone keys and what is no JSON", () => {
    expect(recordToJson(record("{oops"), { value: "json" }).value).toBe("{oops");
    expect(recordToJson(record(null), { value: "json" }).value).toBeNull();
    expect(recordToJson(record("1", encoder.encode("2")), { value: "json" })).toMatchObject({
      key: "2",
      value: 1,
    });
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    expect(recordToJsonText(record(deep), { value: "json" })).toContain(deep);
  });
});
