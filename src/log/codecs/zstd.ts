/** Zstandard (RFC 8878). Its frames are walked before anything is decompressed: see zstd-frames.ts. */

import { decompressNatively, nativeZlib, plainBytes } from "./native-zlib.ts";
import { OutputPieces } from "./output-pieces.ts";
import { decodeZstdFrame } from "./zstd-frame-decoder.ts";
import { zstdFrames } from "./zstd-frames.ts";

const NATIVE_WINDOW_BYTES_MAX = 8 * 1024 * 1024;

/** undefined where the runtime cannot: only `node:zlib` compresses zstd. */
export const zstd: ((bytes: Uint8Array) => Uint8Array) | undefined = nativeCompressor();

function nativeCompressor(): typeof zstd {
  const compress = nativeZlib?.zstdCompressSync;
  return compress === undefined ? undefined : (bytes) => plainBytes(compress(bytes));
}

/** @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it is not zstd. */
export function unzstd(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const decompress = nativeZlib?.zstdDecompressSync;
  if (decompress === undefined) return unzstdPortable(bytes, bytesMax);
  const output = new OutputPieces(bytesMax);
  for (const frame of zstdFrames(bytes, bytesMax)) {
    // The native function takes the window's memory at once, up to 128 MiB at the highest levels.
    const fits = frame.windowBytes <= NATIVE_WINDOW_BYTES_MAX;
    const room = output.room;
    output.add(
      fits ? decompressNatively("zstd", decompress, frame.bytes, room) : decodeZstdFrame(frame, room),
    );
  }
  return output.joined();
}

export function unzstdPortable(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const output = new OutputPieces(bytesMax);
  for (const frame of zstdFrames(bytes, bytesMax)) {
    output.add(decodeZstdFrame(frame, output.room));
  }
  return output.joined();
}
