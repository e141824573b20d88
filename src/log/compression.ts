import { EdgelogError } from "../model/errors.ts";

/** A producer's codec, as in Kafka's `compression.type`; its place is its number in a batch's attributes. */
export const COMPRESSION_NAMES = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

export type CompressionName = (typeof COMPRESSION_NAMES)[number];

export function compressionName(codec: number): CompressionName {
  const name = COMPRESSION_NAMES[codec];
  if (name === undefined) {
    throw new EdgelogError("UNSUPPORTED_COMPRESSION_TYPE", `codec ${codec} is unknown`);
  }
  return name;
}

export function compress(name: CompressionName, bytes: Uint8Array): Uint8Array {
  if (name === "none") return bytes;
  throw new EdgelogError("UNSUPPORTED_COMPRESSION_TYPE", `${name} cannot be written here`);
}

export function decompress(name: CompressionName, bytes: Uint8Array, _bytesMax: number): Uint8Array {
  if (name === "none") return bytes;
  throw new EdgelogError("UNSUPPORTED_COMPRESSION_TYPE", `${name} cannot be read here`);
}
