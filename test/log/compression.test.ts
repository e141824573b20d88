import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { compress as snappyBlock } from "snappyjs";
import { describe, expect, test } from "vitest";
import { gunzip, gunzipPortable, gzipPortable } from "../../src/log/codecs/gzip.ts";
import { unlz4 } from "../../src/log/codecs/lz4.ts";
import { lz4 } from "../../src/log/codecs/lz4-encoder.ts";
import { snappy, unsnappy } from "../../src/log/codecs/snappy.ts";
import { unzstd, unzstdPortable } from "../../src/log/codecs/zstd.ts";
import {
  COMPRESSION_NAMES,
  canCompress,
  compress,
  compressionName,
  decompress,
} from "../../src/log/compression.ts";
import {
  lz4Bomb,
  snappyBomb,
  snappyHugeLength,
  zstdBomb,
  zstdHugeContent,
  zstdHugeWindow,
} from "./codec-bombs.ts";
import { readFixture } from "./expected-records.ts";
import { concat, errorOf } from "./support.ts";

const MiB = 1024 * 1024;
const utf8 = (text: string) => new TextEncoder().encode(text);
const compressible = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(400)), { maxLength: 12 })
  .map((parts) => concat(...parts.flatMap(([bytes, times]) => Array<Uint8Array>(times).fill(bytes))));

/** What decodes each codec, native and in JavaScript. */
const DECODERS = [
  { name: "gzip", decode: gunzip, encode: (bytes: Uint8Array) => gzipSync(bytes) },
  { name: "gzip in JavaScript", decode: gunzipPortable, encode: (bytes: Uint8Array) => gzipSync(bytes) },
  { name: "zstd", decode: unzstd, encode: (bytes: Uint8Array) => zstdCompressSync(bytes) },
  {
    name: "zstd in JavaScript",
    decode: unzstdPortable,
    encode: (bytes: Uint8Array) => zstdCompressSync(bytes),
  },
  { name: "raw snappy", decode: unsnappy, encode: snappyBlock },
  { name: "xerial snappy", decode: unsnappy, encode: xerial },
  { name: "snappy as it is written here", decode: unsnappy, encode: snappy },
  { name: "lz4", decode: unlz4, encode: lz4 },
];

describe.each(DECODERS)("$name", ({ decode, encode }) => {
  test("gives back what was compressed, when exactly so much is allowed, and nothing when a byte less is", () => {
    fc.assert(
      fc.property(compressible, (bytes) => {
        const compressed = new Uint8Array(encode(bytes));
        expect(decode(compressed, Math.max(bytes.length, 1024))).toEqual(bytes);
        // zstd asks for a window of at least a KiB.
        if (bytes.length > 1024) {
          expect(decode(compressed, bytes.length)).toEqual(bytes);
          expect(errorOf(() => decode(compressed, bytes.length - 1))).toBe("MESSAGE_TOO_LARGE");
        }
      }),
      { numRuns: 60 },
    );
  });

  test("refuses what is cut short, and anything else that it does not understand", () => {
    const compressed = new Uint8Array(encode(utf8("flight ".repeat(30))));
    for (let length = 1; length < compressed.length; length++) {
      const code = errorOf(() => decode(compressed.subarray(0, length), MiB));
      // Xerial's frames do not say how many they are.
      const isFramed = encode === xerial || encode === snappy;
      expect(code).toBe(isFramed && length === 16 ? "none" : "INVALID_RECORD");
    }
    expect(errorOf(() => decode(utf8("\xff not compressed at all"), MiB))).toBe("INVALID_RECORD");
  });
});

test("gzip that is written in JavaScript is gzip", () => {
  const bytes = utf8("flight ".repeat(1_000));
  expect(gunzip(gzipPortable(bytes), MiB)).toEqual(bytes);
  expect(gunzipPortable(gzipPortable(bytes), MiB)).toEqual(bytes);
});

test("several gzip members, zstd frames or LZ4 frames in a row are read as one", () => {
  const [a, b] = [utf8("a".repeat(3_000)), utf8("b".repeat(5_000))];
  const both = concat(a, b);
  const gzipped = concat(gzipSync(a), gzipSync(b));
  const skippable = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
  const zstded = concat(zstdCompressSync(a), skippable, zstdCompressSync(b));
  expect(gunzip(gzipped, MiB)).toEqual(both);
  expect(gunzipPortable(gzipped, MiB)).toEqual(both);
  expect(unzstd(zstded, MiB)).toEqual(both);
  expect(unzstdPortable(zstded, MiB)).toEqual(both);
  const lz4 = readFixture("lz4-frame-high.bin");
  expect(unlz4(concat(lz4, skippable, lz4), MiB).length).toBe(2 * unlz4(lz4, MiB).length);
});

test("zstd in JavaScript reads what libzstd writes of code, text and noise at every kind of level", () => {
  const { ZSTD_c_compressionLevel, ZSTD_c_contentSizeFlag, ZSTD_c_checksumFlag } = constants;
  const program = openSync(process.execPath, "r");
  const code = new Uint8Array(400_000);
  readSync(program, code, 0, code.length, 2_000_000);
  closeSync(program);
  const text = utf8(
    JSON.stringify(Array.from({ length: 9_000 }, (_, id) => ({ id, delay: (id * 37) % 91 }))),
  );
  const noise = Uint8Array.from({ length: 150_000 }, (_, index) => Math.imul(index + 1, 0x9e37_79b1) >>> 24);
  for (const bytes of [code, text, noise, text.subarray(0, 700), code.subarray(0, 1), new Uint8Array()]) {
    for (const level of [-5, 1, 3, 9, 19]) {
      for (const flags of [{}, { [ZSTD_c_contentSizeFlag]: 0, [ZSTD_c_checksumFlag]: 1 }]) {
        const params = { [ZSTD_c_compressionLevel]: level, ...flags };
        const decoded = unzstdPortable(zstdCompressSync(bytes, { params }), 8 * MiB);
        expect(Buffer.compare(decoded, bytes), `level ${level}, ${bytes.length} bytes`).toBe(0);
      }
    }
  }
});

test("a zstd block whose Huffman weights would be read for ever is refused", () => {
  // Found by mutation: the states of its weights' table read no bits, so the stream never ends.
  const endless = Buffer.from(
    "28b52ffd0058c40600020a262af0a7eac0aa17256fbbba3afd8f0394dd4bfde355c5d7e90f55d55f9665230fdc" +
      "fdffffdffbfeef7d99027f9ea6711c86b17659de8957db50ad549477e2559524148520d334a72449194531be11" +
      "872827800de4806680a877713c8e37e2bf615cbe1d0ce13c00ef62aa65b28be24ce7dc65c7c2076fc2a7f06dd8" +
      "bcc71510dc089069d73590d7c132ee656d5c8c95de2e5b07b362f81f211a000224011081c504480220028b0948" +
      "c20e8c833ae4002b07901890060209205d2008021640124010042c8024802008588024e82018842ad3d8a1e001" +
      "010000",
    "hex",
  );
  expect(errorOf(() => unzstdPortable(endless, 4 * MiB))).toBe("INVALID_RECORD");
});

test("zstd frames beyond any reason are refused, since each costs its reader a start", () => {
  const frames = (count: number) => concat(...Array<Uint8Array>(count).fill(zstdCompressSync("a")));
  expect(unzstd(frames(1_000), MiB).length).toBe(1_000);
  expect(errorOf(() => unzstd(frames(1_001), MiB))).toBe("INVALID_RECORD");
});

describe("LZ4", () => {
  const lines = utf8(
    Array.from({ length: 12_000 }, (_, index) => `flight ${index % 500} from ABQ\n`).join(""),
  );

  test.each(["linked", "high", "checksums", "sized"])("frames that liblz4 wrote are read (%s)", (name) => {
    const frame = readFixture(`lz4-frame-${name}.bin`);
    expect(unlz4(frame, lines.length)).toEqual(lines);
    expect(errorOf(() => unlz4(frame, lines.length - 1))).toBe("MESSAGE_TOO_LARGE");
  });

  test("refuses every cut of a frame, offsets before its beginning and blocks larger than it says", () => {
    const frame = readFixture("lz4-frame-high.bin");
    for (let length = 1; length < frame.length - 4; length += 7) {
      expect(errorOf(() => unlz4(frame.subarray(0, length), MiB))).toBe("INVALID_RECORD");
    }
    const header = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0];
    const oneBlock = (...block: number[]) =>
      new Uint8Array([...header, block.length, 0, 0, 0, ...block, 0, 0, 0, 0]);
    expect(unlz4(oneBlock(0x11, 0x41, 1, 0, 0x10, 0x42), MiB)).toEqual(utf8("AAAAAAB"));
    for (const block of [
      [0x11, 0x41, 2, 0, 0x10, 0x42],
      [0x11, 0x41, 0, 0, 0x10, 0x42],
      [0x11, 0x41, 1, 0],
      [0x11, 0x41, 1],
      [0x20, 0x41],
      [0xf0, 255, 255],
      [0x1f, 0x41, 1, 0, 255],
    ]) {
      expect(errorOf(() => unlz4(oneBlock(...block), MiB))).toBe("INVALID_RECORD");
    }
  });
});

describe("a bomb is stopped before it has taken more than is allowed:", () => {
  const bytesMax = 2 * MiB;
  const zeros = gzipSync(new Uint8Array(256 * MiB));

  test.each<[string, string, Uint8Array]>([
    ["gzip", "gunzip", zeros],
    ["gzip in JavaScript", "gunzipPortable", zeros],
    ["zstd", "unzstd", zstdBomb(200_000)],
    ["zstd in JavaScript", "unzstdPortable", zstdBomb(200_000)],
    ["zstd with a huge content", "unzstd", zstdHugeContent],
    ["zstd with a huge content in JavaScript", "unzstdPortable", zstdHugeContent],
    ["snappy", "unsnappy", snappyBomb(40)],
    ["snappy with a huge length", "unsnappy", snappyHugeLength],
    ["lz4", "unlz4", lz4Bomb(256 * MiB)],
  ])("%s", (_name, decoder, bomb) => {
    const { code, grownBytes } = decodeAlone(decoder, bomb, bytesMax);
    expect(code).toBe("MESSAGE_TOO_LARGE");
    // Twice the bound, and what JavaScript itself takes while its code warms up.
    expect(grownBytes).toBeLessThan(2 * bytesMax + 20 * MiB);
  });

  test("zstd that only asks for a huge window is read without it", () => {
    expect(unzstd(zstdHugeWindow, bytesMax)).toEqual(utf8("A"));
    expect(unzstdPortable(zstdHugeWindow, bytesMax)).toEqual(utf8("A"));
    const params = { [constants.ZSTD_c_compressionLevel]: 22, [constants.ZSTD_c_contentSizeFlag]: 0 };
    const compressed = zstdCompressSync(new Uint8Array(MiB), { params });
    const { code, grownBytes } = decodeAlone("unzstd", compressed, bytesMax);
    expect(code).toBe("none");
    expect(grownBytes).toBeLessThan(2 * bytesMax + 20 * MiB);
  });

  test("and the same decoders take honest data up to the bound", () => {
    expect(unlz4(lz4Bomb(3 * MiB), 4 * MiB).length).toBeGreaterThan(3 * MiB);
    expect(unsnappy(snappyBomb(2), 3 * MiB).length).toBe(2 * MiB + 2);
    expect(unzstd(zstdBomb(16), 2 * MiB).length).toBe(2 * MiB);
    expect(unzstdPortable(zstdBomb(16), 2 * MiB).length).toBe(2 * MiB);
  });
});

test("codecs have Kafka's names and numbers, and only those that can be written are", () => {
  expect(COMPRESSION_NAMES.map((_, codec) => compressionName(codec))).toEqual([
    "none",
    "gzip",
    "snappy",
    "lz4",
    "zstd",
  ]);
  expect(errorOf(() => compressionName(5))).toBe("UNSUPPORTED_COMPRESSION_TYPE");
  const bytes = utf8("flight ".repeat(100));
  for (const name of COMPRESSION_NAMES) {
    if (canCompress(name)) expect(decompress(name, compress(name, bytes), MiB)).toEqual(bytes);
    else expect(errorOf(() => compress(name, bytes))).toBe("UNSUPPORTED_COMPRESSION_TYPE");
  }
  expect(COMPRESSION_NAMES.filter(canCompress)).toEqual([...COMPRESSION_NAMES]);
});

function xerial(bytes: Uint8Array): Uint8Array {
  const header = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1];
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1_000) {
    const block = snappyBlock(bytes.subarray(at, at + 1_000));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, block.length);
    blocks.push(length, block);
  }
  return concat(header, ...blocks);
}

/** In a process of its own: how it ends, and by how much the process grew. */
function decodeAlone(
  decoder: string,
  bytes: Uint8Array,
  bytesMax: number,
): { code: string; grownBytes: number } {
  const child = join(import.meta.dirname, "decode-bomb.ts");
  const output = execFileSync(process.execPath, [child, decoder, String(bytesMax)], { input: bytes });
  return JSON.parse(output.toString());
}
