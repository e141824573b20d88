import { describe, expect, test } from "vitest";
import { recordFormat } from "../../src/cli/record-format.ts";
import { ConsumedRecord } from "../../src/client/record.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function formatted(format: string, record: Partial<ConsumedRecord> = {}): string {
  const { key = bytes("k"), value = bytes("välue"), headers = [] } = record;
  const consumed = new ConsumedRecord("orders", 3, {
    offset: 42,
    timestamp: 1_700_000_000_000,
    key,
    value,
    headers,
  });
  return Buffer.from(recordFormat(format)(consumed)).toString("latin1");
}

describe("consume --format", () => {
  test("each token of kcat stands for a part of the record", () => {
    expect(formatted("%t %p %o %T %k %K %S")).toBe("orders 3 42 1700000000000 k 1 6");
    expect(formatted("%s")).toBe(Buffer.from("välue").toString("latin1"));
    expect(formatted("%R")).toBe("\0\0\0\u0006");
  });

  test("null keys and values print nothing and have size -1", () => {
    expect(formatted("[%k|%s|%K|%S]", { key: null, value: null })).toBe("[||-1|-1]");
    expect(formatted("%R", { value: null })).toBe("\xff\xff\xff\xff");
  });

  test("headers are name=value, separated by commas, NULL where there is no value", () => {
    const headers = [
      { key: "a", value: bytes("1") },
      { key: "a", value: null },
    ];
    expect(formatted("%h", { headers })).toBe("a=1,a=NULL");
    expect(formatted("%h")).toBe("");
  });

  test("escapes are as in C, %% is a percent sign, the rest stands for itself", () => {
    expect(formatted("a\\n\\t\\r\\0\\\\\\x41%%ü\nb")).toBe(
      Buffer.from("a\n\t\r\0\\A%ü\nb").toString("latin1"),
    );
    expect(formatted("\\q\\")).toBe("\\q\\");
  });

  test.each(["%", "%q", "%ü", "100% sure"])("an unknown token is refused: %j", (format) => {
    expect(() => recordFormat(format)).toThrow(/--format: %.* is unknown/s);
  });
});
