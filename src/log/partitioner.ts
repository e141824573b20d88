/** Where a record with a key goes, exactly as Kafka's Java client decides (`Utils.murmur2`, `BuiltInPartitioner`). */

const SEED = 0x9747_b28c;
const M = 0x5bd1_e995;
const R = 24;

/** Kafka's murmur2 of the bytes, a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let hash = SEED ^ length;
  const wholeWords = length & ~3;
  for (let at = 0; at < wholeWords; at += 4) {
    let word = view.getInt32(at, true);
    word = Math.imul(word, M);
    word ^= word >>> R;
    hash = Math.imul(hash, M) ^ Math.imul(word, M);
  }
  const left = length - wholeWords;
  if (left === 3) hash ^= (bytes[wholeWords + 2] ?? 0) << 16;
  if (left >= 2) hash ^= (bytes[wholeWords + 1] ?? 0) << 8;
  if (left >= 1) hash = Math.imul(hash ^ (bytes[wholeWords] ?? 0), M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}

/** 0-based; every producer that hashes like the Java client sends this key to the same one of `partitions`. */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}
