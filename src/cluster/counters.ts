/**
 * What went through this isolate since it started, over HTTP, Kafka's protocol and service bindings alike. What a
 * partition sends to a subscriber's own socket is not among it: that passes no Worker.
 */

let recordsProduced = 0;
let bytesProduced = 0;
let bytesFetched = 0;
/** By the API's name, of which there are few. */
const kafkaRequests = new Map<string, number>();

export interface Traffic {
  /** Those sent again by an idempotent producer count again. */
  readonly recordsProduced: number;
  /** Of batches, as are the next. */
  readonly bytesProduced: number;
  readonly bytesFetched: number;
  readonly kafkaRequests: readonly (readonly [api: string, count: number])[];
}

export function countProduced(records: number, bytes: number): void {
  recordsProduced += records;
  bytesProduced += bytes;
}

export function countFetched(bytes: number): void {
  bytesFetched += bytes;
}

export function countKafkaRequest(api: string): void {
  kafkaRequests.set(api, (kafkaRequests.get(api) ?? 0) + 1);
}

export function traffic(): Traffic {
  return { recordsProduced, bytesProduced, bytesFetched, kafkaRequests: [...kafkaRequests] };
}
