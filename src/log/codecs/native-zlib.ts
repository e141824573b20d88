/**
 * `node:zlib` where the runtime has it: Node, and workerd with nodejs_compat. Asked for at run time, because a static
 * import of it breaks a browser's bundle.
 */

import { malformed, tooMuchOutput } from "./problems.ts";

type Zlib = Pick<typeof import("node:zlib"), "gzipSync" | "gunzipSync"> &
  Partial<Pick<typeof import("node:zlib"), "zstdCompressSync" | "zstdDecompressSync">>;

/** Without the two zstd functions on Node before 22.15. */
export const nativeZlib: Zlib | undefined = globalThis.process?.getBuiltinModule?.("node:zlib");

/** Output is collected in pieces of this size. */
const CHUNK_BYTES = 128 * 1024;

/**
 * Runs one of the native decompressors on the whole of `bytes`.
 * @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it does not understand them.
 */
export function decompressNatively(
  codec: string,
  decompress: (bytes: Uint8Array, options: { maxOutputLength: number; chunkSize: number }) => Uint8Array,
  bytes: Uint8Array,
  bytesMax: number,
): Uint8Array {
  let output: Uint8Array;
  try {
    // workerd counts whole pieces: its limit would stop short of the bound.
    const options = { maxOutputLength: bytesMax + CHUNK_BYTES, chunkSize: CHUNK_BYTES };
    output = plainBytes(decompress(bytes, options));
  } catch (error) {
    // Both runtimes throw this at the limit; workerd's has no code.
    throw error instanceof RangeError ? tooMuchOutput() : malformed(codec, String(error), error);
  }
  if (output.length > bytesMax) throw tooMuchOutput();
  return output;
}

/** The same bytes without Buffer's ways: a view of it would be a Buffer again. */
export function plainBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
