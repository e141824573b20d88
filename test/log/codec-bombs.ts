/** Small inputs that decompress to far more than anyone should allow. Made by hand, so that they need no encoder. */

import { concat } from "./support.ts";

const MiB = 1024 * 1024;

/** RLE blocks of 128 KiB at 4 bytes each, in a frame that does not say how much it holds. */
export function zstdBomb(blocks: number): Uint8Array {
  const block = (last: 0 | 1) => {
    const header = (128 * 1024 * 8) | (1 << 1) | last;
    return [header & 0xff, (header >>> 8) & 0xff, header >>> 16, 0x41];
  };
  const window2MiB = (21 - 10) << 3;
  const body = Array.from({ length: blocks }, (_, index) => block(index === blocks - 1 ? 1 : 0)).flat();
  return concat([0x28, 0xb5, 0x2f, 0xfd, 0, window2MiB], body);
}

/** One byte, in a frame whose header asks for a window of 2^41 bytes. */
export const zstdHugeWindow = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0, 31 << 3, 11, 0, 0, 0x41]);

/** A frame whose header says that it holds 2^40 bytes. */
export const zstdHugeContent = concat(
  [0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000, 0, 0, 0, 0, 0, 1, 0, 0],
  [11, 0, 0, 0x41],
);

/** One block of matches, each 255 bytes for a byte. */
export function lz4Bomb(outputBytes: number): Uint8Array {
  const blockBytes = 4 * MiB - 300;
  const lengthBytes = Math.floor(blockBytes / 255);
  const block = concat([0x1f, 0x41, 1, 0], new Uint8Array(lengthBytes).fill(255), [0, 0x10, 0x42]);
  const size = [block.length & 0xff, (block.length >>> 8) & 0xff, (block.length >>> 16) & 0xff, 0];
  const blocks = Array.from({ length: Math.ceil(outputBytes / blockBytes) }, () => [size, block]).flat();
  return concat([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0], ...blocks, [0, 0, 0, 0]);
}

/** Blocks of 1 MiB of one letter, by copies of 64 bytes at 3 bytes each, in xerial's frames. */
export function snappyBomb(blocks: number): Uint8Array {
  const copies = Array.from({ length: MiB / 64 }, () => [(63 << 2) | 2, 1, 0]).flat();
  const length = MiB + 1;
  const block = [(length & 0x7f) | 0x80, ((length >>> 7) & 0x7f) | 0x80, length >>> 14, 0, 0x41, ...copies];
  const size = [0, (block.length >>> 16) & 0xff, (block.length >>> 8) & 0xff, block.length & 0xff];
  const header = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1];
  return concat(header, ...Array.from({ length: blocks }, () => [size, block]).flat());
}

/** Says that it holds 2^32 - 1 bytes. */
export const snappyHugeLength = new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x41]);
