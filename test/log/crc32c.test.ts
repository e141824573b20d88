import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../src/log/crc32c.ts";

test.each([
  ["nothing", new Uint8Array(), 0],
  ["123456789", new TextEncoder().encode("123456789"), 0xe306_9283],
  ["32 zeros", new Uint8Array(32), 0x8a91_36aa],
  ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8_ab43],
  ["0 to 31", Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd_794e],
  ["31 to 0", Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113f_db5c],
])("the CRC-32C of %s is the one in RFC 3720", (_name, bytes, crc) => {
  expect(crc32c(bytes)).toBe(crc);
});

test("any range of any view has the CRC that one bit at a time gives", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(40), fc.nat(40), (bytes, from, cut) => {
      const start = Math.min(from, bytes.length);
      const end = Math.max(start, bytes.length - cut);
      expect(crc32c(bytes, start, end)).toBe(bitByBit(bytes.slice(start, end)));
      expect(crc32c(bytes.subarray(start, end))).toBe(bitByBit(bytes.slice(start, end)));
    }),
  );
});

function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
