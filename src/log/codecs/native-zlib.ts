/**
 * `node:zlib` where the runtime has it: Node, and workerd with nodejs_compat. Asked for at run time, because a static
 * import of it breaks a browser's bundle.
 */

type Zlib = Pick<typeof import("node:zlib"), "gzipSync" | "gunzipSync"> &
  Partial<Pick<typeof import("node:zlib"), "zstdCompressSync" | "zstdDecompressSync">>;

/** Without the two zstd functions on Node before 22.15. */
export const nativeZlib: Zlib | undefined = globalThis.process?.getBuiltinModule?.("node:zlib");

/** Output is collected in pieces of this size. */
export const NATIVE_CHUNK_BYTES = 128 * 1024;

/** What the native functions throw when the output would outgrow `maxOutputLength`: workerd's has no code. */
export function isOutputLimit(error: unknown): boolean {
  return error instanceof RangeError;
}

/** The same bytes without Buffer's ways: a view of it would be a Buffer again. */
export function plainBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
