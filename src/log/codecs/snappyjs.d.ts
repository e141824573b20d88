declare module "snappyjs" {
  /** Throws if the bytes are not a snappy block, or one of more than `maxLength` bytes. */
  export function uncompress(compressed: Uint8Array, maxLength?: number): Uint8Array;
  export function compress(uncompressed: Uint8Array): Uint8Array;
}
