/** Where the fields of a record batch lie, in bytes from its beginning (Kafka's `DefaultRecordBatch`). */
export const FIELD = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordsCount: 57,
} as const;

/** The batch's length field counts what comes after it. */
export const BATCH_OVERHEAD_BYTES = 12;
export const MAGIC = 2;

/** length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte each. */
export const RECORD_BYTES_MIN = 7;

export const ATTRIBUTE_COMPRESSION = 0b111;
export const ATTRIBUTE_LOG_APPEND_TIME = 0b1000;
export const ATTRIBUTE_TRANSACTIONAL = 0b1_0000;
export const ATTRIBUTE_CONTROL = 0b10_0000;
export const ATTRIBUTE_DELETE_HORIZON = 0b100_0000;

export function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}
