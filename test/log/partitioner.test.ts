import { expect, test } from "vitest";
import { murmur2, partitionForKey } from "../../src/log/partitioner.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

test.each([
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
])("murmur2 of %j is what Kafka's own tests expect", (text, hash) => {
  expect(murmur2(utf8(text))).toBe(hash);
});

test("a key goes to the partition that the Java client gives it, also when its hash is negative", () => {
  expect(partitionForKey(utf8("21"), 7)).toBe((-973932308 & 0x7fffffff) % 7);
  expect(partitionForKey(utf8("abc"), 1_000_000)).toBe(479470107 % 1_000_000);
  expect(partitionForKey(new Uint8Array(), 1)).toBe(0);
});
