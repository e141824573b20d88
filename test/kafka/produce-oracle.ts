/** Says of a Produce request (version 7, header included) what must come of it. Written from Kafka's protocol alone. */

import { judgeBatch } from "../fuzz/batch-rules.ts";

export type ProduceVerdict =
  /** It cannot be read as a request: the connection ends. */
  | { readonly kind: "malformed"; readonly reason: string }
  /** Not exactly one partition, or a refusal of it: an error code other than 0. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "valid"; readonly partition: number; readonly batch: Buffer }
  /** A true header over records that cannot be read: the log may take it, for it does not look at records. */
  | { readonly kind: "unreadable"; readonly partition: number; readonly batch: Buffer };

const MESSAGE_BYTES_MAX = 1_048_588;

const BASE_TIMESTAMP_AT = 27;
/** The last that JavaScript's Date knows. */
const LAST_TIME_MS = 8_640_000_000_000_000n;

export function judgeProduce(request: Buffer, topic: string, partitions: number): ProduceVerdict {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(request);
  } catch (error) {
    return { kind: "malformed", reason: String(error) };
  }
  const { acks, topics } = parsed;
  const [only] = topics;
  const [data] = only?.partitions ?? [];
  if (only === undefined || data === undefined || topics.length > 1 || only.partitions.length > 1) {
    return { kind: "malformed", reason: "not one partition: judged only by what it must not do" };
  }
  // There is no answer to acks 0, whatever comes of it.
  if (acks === 0) return { kind: "malformed", reason: "acks 0" };
  if (acks !== 1 && acks !== -1) return { kind: "refused", reason: `acks ${acks}` };
  if (only.name !== topic) return { kind: "refused", reason: "another topic" };
  if (data.index < 0 || data.index >= partitions)
    return { kind: "refused", reason: `partition ${data.index}` };
  if (data.records === null) return { kind: "refused", reason: "no records" };
  const batch = judgeBatch(data.records);
  const isUnreadable = typeof batch === "string" && batch.startsWith("unreadable records");
  if (typeof batch === "string" && !isUnreadable) return { kind: "refused", reason: batch };
  if (data.records.readBigInt64BE(BASE_TIMESTAMP_AT) > LAST_TIME_MS)
    return { kind: "refused", reason: "no time" };
  if (data.records.length > MESSAGE_BYTES_MAX) return { kind: "refused", reason: "too large" };
  return { kind: isUnreadable ? "unreadable" : "valid", partition: data.index, batch: data.records };
}

function parse(request: Buffer) {
  let at = 8;
  const need = (size: number): number => {
    if (size < 0 || at + size > request.length) throw new Error(`${size} bytes at ${at}`);
    at += size;
    return at - size;
  };
  const int16 = () => request.readInt16BE(need(2));
  const int32 = () => request.readInt32BE(need(4));
  const nullable = (length: number) => (length === -1 ? null : request.subarray(need(length), at));
  const list = <T>(element: () => T): T[] => {
    const count = int32();
    if (count < 0) throw new Error(`${count} elements`);
    const elements: T[] = [];
    for (let index = 0; index < count; index++) elements.push(element());
    return elements;
  };
  nullable(int16());
  nullable(int16());
  const acks = int16();
  int32();
  const topics = list(() => {
    const name = nullable(int16());
    if (name === null) throw new Error("a topic without a name");
    const partitions = list(() => ({ index: int32(), records: nullable(int32()) }));
    return { name: name.toString("utf8"), partitions };
  });
  return { acks, topics };
}
