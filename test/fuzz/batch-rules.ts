/** Record batches (magic 2) built and judged from Kafka's description of the format alone. */

import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { ModelRecord } from "./model.ts";

const HEADER_BYTES = 61;
const BATCH_BYTES_MAX = 1_900_000;
/** The last that JavaScript's Date knows. */
const LAST_TIME_MS = 8_640_000_000_000_000;

export interface BatchFields {
  readonly attributes: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

export interface JudgedBatch extends BatchFields {
  readonly records: readonly ModelRecord[];
}

/** Bit by bit: slow and plainly right. */
export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export function varint(value: number): Buffer {
  // Zig-zag; times need more than 32 bits.
  let left = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  do {
    const rest = left >> 7n;
    bytes.push(Number(left & 0x7fn) | (rest === 0n ? 0 : 0x80));
    left = rest;
  } while (left !== 0n);
  return Buffer.from(bytes);
}

/** Of a record in a batch, with its own length before it. */
export function recordBytes(record: ModelRecord, timestampDelta: number, offsetDelta: number): Buffer {
  const nullable = (bytes: Buffer | null) =>
    bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
  const body = Buffer.concat([
    Buffer.of(0),
    varint(timestampDelta),
    varint(offsetDelta),
    nullable(record.key),
    nullable(record.value),
    varint(record.headers.length),
    ...record.headers.flatMap(([name, value]) => [nullable(Buffer.from(name)), nullable(value)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

/** Of a batch that has only this record. */
export function loneBatchBytes(record: ModelRecord): number {
  return HEADER_BYTES + recordBytes(record, 0, 0).length;
}

export function buildBatch(records: readonly ModelRecord[], fields: BatchFields): Buffer {
  const times = records.map(({ timestamp = 0 }) => timestamp);
  const base = times[0] ?? 0;
  const plain = Buffer.concat(
    records.map((record, index) => recordBytes(record, (record.timestamp ?? 0) - base, index)),
  );
  const codec = fields.attributes & 7;
  const body = codec === 1 ? gzipSync(plain) : codec === 4 ? zstdCompressSync(plain) : plain;
  const batch = Buffer.alloc(HEADER_BYTES + body.length);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(fields.attributes, 21);
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(BigInt(base), 27);
  batch.writeBigInt64BE(BigInt(Math.max(...times)), 35);
  batch.writeBigInt64BE(BigInt(fields.producerId), 43);
  batch.writeInt16BE(fields.producerEpoch, 51);
  batch.writeInt32BE(fields.baseSequence, 53);
  batch.writeInt32BE(records.length, 57);
  body.copy(batch, HEADER_BYTES);
  return sealed(batch);
}

/** With the CRC that its bytes have. */
export function sealed(batch: Buffer): Buffer {
  if (batch.length >= 21) batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** What the batch holds, or why a producer may not send it. */
export function judgeBatch(batch: Buffer): JudgedBatch | string {
  if (batch.length < HEADER_BYTES) return "shorter than a header";
  if (batch.length > BATCH_BYTES_MAX) return "larger than any topic takes";
  if (batch.readInt8(16) !== 2) return "not magic 2";
  if (batch.readInt32BE(8) !== batch.length - 12) return "not as long as it says";
  if (batch.readUInt32BE(17) !== crc32c(batch.subarray(21))) return "wrong CRC";
  if (batch.readBigInt64BE(0) !== 0n) return "baseOffset is not 0";
  const attributes = batch.readInt16BE(21);
  if ((attributes & 7) > 4) return "unknown codec";
  if ((attributes & 0b1111000) !== 0) return "a flag that only a broker may set, or a transaction";
  const [base, maxTimestamp] = [batch.readBigInt64BE(27), batch.readBigInt64BE(35)];
  if (base < -1n || maxTimestamp < -1n || maxTimestamp > BigInt(LAST_TIME_MS)) return "no time";
  if (maxTimestamp > BigInt(Date.now() + 3_600_000)) return "too far in the future";
  const fields = {
    attributes,
    producerId: Number(batch.readBigInt64BE(43)),
    producerEpoch: batch.readInt16BE(51),
    baseSequence: batch.readInt32BE(53),
  };
  if (fields.producerId < -1 || fields.producerId > Number.MAX_SAFE_INTEGER) return "no producer id";
  if (fields.producerId >= 0 && (fields.producerEpoch < 0 || fields.baseSequence < 0))
    return "a producer without sequence";
  const count = batch.readInt32BE(57);
  if (count <= 0 || batch.readInt32BE(23) !== count - 1) return "impossible count";
  try {
    const body = decompressed(attributes & 7, batch.subarray(HEADER_BYTES));
    return { ...fields, records: readRecords(body, count, Number(base)) };
  } catch (error) {
    return `unreadable records: ${String(error)}`;
  }
}

function decompressed(codec: number, body: Buffer): Buffer {
  // Java, too, ignores what follows the last member of gzip data.
  if (codec === 1) return gunzipSync(body);
  if (codec === 4) return whole(body, zstdDecompressSync(body, { info: true }));
  if (codec === 0) return body;
  throw new Error("the fuzzer writes no snappy and no lz4, so these bytes are neither");
}

/** zlib stops where the compressed data ends, whatever follows. */
function whole(body: Buffer, unpacked: unknown): Buffer {
  const { buffer, engine } = unpacked as { buffer: Buffer; engine: { bytesWritten: number } };
  if (engine.bytesWritten !== body.length) throw new Error("bytes after the compressed data");
  return buffer;
}

function readRecords(body: Buffer, count: number, baseTimestamp: number): ModelRecord[] {
  let at = 0;
  const number = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = body.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)));
      if (shift > 63n) throw new Error("endless varint");
    }
  };
  const nullable = (): Buffer | null => {
    const length = number();
    if (length === -1) return null;
    if (length < 0 || at + length > body.length) throw new Error("a length beyond the end");
    at += length;
    return body.subarray(at - length, at);
  };
  const records: ModelRecord[] = [];
  for (let index = 0; index < count; index++) {
    const length = number();
    const end = at + length;
    if (length < 0) throw new Error("a negative length");
    at++;
    const timestamp = baseTimestamp + number();
    if (timestamp < -1 || timestamp > LAST_TIME_MS) throw new Error("no time");
    if (number() !== index) throw new Error("offsets that do not follow each other");
    const [key, value] = [nullable(), nullable()];
    const headers: [string, Buffer | null][] = [];
    const headerCount = number();
    if (headerCount < 0) throw new Error("fewer than no headers");
    for (let header = 0; header < headerCount; header++) {
      const name = nullable();
      if (name === null) throw new Error("a header without a name");
      headers.push([name.toString(), nullable()]);
    }
    if (at !== end) throw new Error("not as long as it says");
    records.push({ key, value, headers, timestamp });
  }
  if (at !== body.length) throw new Error("bytes after the last record");
  return records;
}
