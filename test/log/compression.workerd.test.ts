import { describe, expect, test } from "vitest";
import { decodeBatch, encodeBatch } from "../../src/log/batch.ts";
import { validateBatch } from "../../src/log/batch-header.ts";
import { gunzipPortable } from "../../src/log/codecs/gzip.ts";
import { unzstdPortable } from "../../src/log/codecs/zstd.ts";
import {
  COMPRESSION_NAMES,
  type CompressionName,
  canCompress,
  compress,
  decompress,
} from "../../src/log/compression.ts";
import { isFailure } from "../../src/model/errors.ts";
import { lz4Bomb, snappyBomb, zstdBomb } from "./codec-bombs.ts";
import { errorOf } from "./support.ts";

const MiB = 1024 * 1024;
const bytes = new TextEncoder().encode("flight ABQ to SFO, ".repeat(10_000));

describe("inside workerd", () => {
  test("node:zlib is there, so gzip and zstd are native and zstd can be written", () => {
    expect(globalThis.process?.getBuiltinModule?.("node:zlib")).toBeDefined();
    expect(COMPRESSION_NAMES.filter(canCompress)).toEqual([...COMPRESSION_NAMES]);
    for (const [name, portable] of [
      ["gzip", gunzipPortable],
      ["zstd", unzstdPortable],
    ] as const) {
      const compressed = compress(name, bytes);
      expect(compressed.length).toBeLessThan(bytes.length / 50);
      expect(decompress(name, compressed, bytes.length)).toEqual(bytes);
      expect(portable(compressed, bytes.length)).toEqual(bytes);
      expect(errorOf(() => decompress(name, compressed, bytes.length - 1))).toBe("MESSAGE_TOO_LARGE");
      expect(errorOf(() => decompress(name, compressed.subarray(0, -9), MiB))).toBe("INVALID_RECORD");
    }
  });

  test.each<[CompressionName, Uint8Array]>([
    ["gzip", compress("gzip", new Uint8Array(64 * MiB))],
    ["zstd", zstdBomb(200_000)],
    ["snappy", snappyBomb(40)],
    ["lz4", lz4Bomb(64 * MiB)],
  ])("a %s bomb is stopped", (name, bomb) => {
    expect(errorOf(() => decompress(name, bomb, 2 * MiB))).toBe("MESSAGE_TOO_LARGE");
  });

  test("batches read back as they were written, with every codec that can be", () => {
    const records = Array.from({ length: 500 }, (_, index) => ({
      timestamp: 1_700_000_000_000 + index,
      key: new Uint8Array([index & 0xff]),
      value: index % 7 === 0 ? null : bytes.subarray(index, index + 100),
      headers: [{ key: "größe", value: new Uint8Array([1, 2]) }],
    }));
    for (const compression of COMPRESSION_NAMES.filter(canCompress)) {
      const batch = encodeBatch(records, { compression });
      expect(isFailure(validateBatch(batch))).toBe(false);
      expect([...decodeBatch(batch)]).toEqual(records.map((record, offset) => ({ offset, ...record })));
    }
  });
});
