/** A partition read whole, each way. */

import { batchHeaders } from "../../src/log/batch-header.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { curl, curlBytes } from "./curl.ts";

export interface Read {
  readonly offset: number;
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
}

export async function* readJson(partition: string): AsyncGenerator<Read> {
  for (let offset = 0; ; ) {
    const answer = JSON.parse(await curl([`${partition}/records?offset=${offset}`]));
    yield* answer.records;
    offset = answer.next_offset;
    if (offset === answer.high_watermark) return;
  }
}

/** Keeps what was fetched. */
export async function* readBatches(partition: string, fetched: Uint8Array[]): AsyncGenerator<Read> {
  for (let offset = 0; ; ) {
    const accept = ["-H", "accept: application/vnd.kafka.recordbatch"];
    const batches = await curlBytes([`${partition}/records?offset=${offset}`, ...accept]);
    if (batches.length === 0) return;
    fetched.push(batches);
    yield* decodeBatches(batches);
    for (const { header } of batchHeaders(batches)) offset = header.nextOffset;
  }
}

export async function* readEvents(events: AsyncIterable<string>, total: number): AsyncGenerator<Read> {
  let count = 0;
  for await (const data of events) {
    const message = JSON.parse(data);
    if (message.type === "error") throw new Error(data);
    if (message.type !== "records") continue;
    yield* message.records;
    count += message.records.length;
    if (count >= total) return;
  }
}
