/**
 * The control batch that ends a producer's transaction in a partition (KIP-98): one record whose key is a version and a
 * type, and whose value a version and the coordinator's epoch. It takes an offset like any other record.
 */

import { EdgelogError } from "../model/errors.ts";
import { encodeBatch } from "./batch.ts";
import { BATCH_HEADER_BYTES } from "./batch-header.ts";
import { VarintReader } from "./varint.ts";

export type MarkerType = "abort" | "commit";

export interface EndTransactionMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly type: MarkerType;
  readonly timestampMs: number;
}

const VERSION = 0;
const TYPES: Readonly<Record<MarkerType, number>> = { abort: 0, commit: 1 };
const KEY_BYTES = 4;
const VALUE_BYTES = 6;
/** A coordinator is one Durable Object: there is never an older one to tell it from. */
const COORDINATOR_EPOCH = 0;

/** Ready to be stamped with its offset. */
export function encodeMarker({ type, timestampMs, ...producer }: EndTransactionMarker): Uint8Array {
  const key = new DataView(new ArrayBuffer(KEY_BYTES));
  key.setInt16(0, VERSION);
  key.setInt16(2, TYPES[type]);
  const value = new DataView(new ArrayBuffer(VALUE_BYTES));
  value.setInt16(0, VERSION);
  value.setInt32(2, COORDINATOR_EPOCH);
  const record = {
    timestamp: timestampMs,
    key: new Uint8Array(key.buffer),
    value: new Uint8Array(value.buffer),
  };
  return encodeBatch([record], { ...producer, transactional: true, control: true });
}

/**
 * What a whole control batch says; undefined: it ends no transaction.
 * @throws {EdgelogError} INVALID_RECORD: its record cannot be read.
 */
export function markerTypeOf(batch: Uint8Array): MarkerType | undefined {
  const reader = new VarintReader(batch, BATCH_HEADER_BYTES);
  reader.readVarint();
  reader.readInt8();
  reader.readVarlong();
  reader.readVarint();
  const keyBytes = reader.readVarint();
  if (keyBytes < KEY_BYTES || reader.position + keyBytes > batch.length) {
    throw new EdgelogError("INVALID_RECORD", `a control record has a key of ${keyBytes} bytes`);
  }
  const type = new DataView(batch.buffer, batch.byteOffset + reader.position, KEY_BYTES).getInt16(2);
  if (type === TYPES.abort) return "abort";
  return type === TYPES.commit ? "commit" : undefined;
}
