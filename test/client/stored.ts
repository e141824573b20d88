/** What a partition really holds, read without the SDK. */

import { decodeBatches } from "../../src/log/batch.ts";
import { type BatchHeader, batchHeaders } from "../../src/log/batch-header.ts";

export interface Stored {
  readonly headers: BatchHeader[];
  readonly values: string[];
}

export async function stored(url: string, topic: string, partition = 0): Promise<Stored> {
  const headers: BatchHeader[] = [];
  const values: string[] = [];
  for (let offset = 0; ; ) {
    const response = await fetch(
      `${url}/v1/topics/${topic}/partitions/${partition}/records?offset=${offset}`,
      {
        headers: { accept: "application/vnd.kafka.recordbatch" },
      },
    );
    if (!response.ok) throw new Error(await response.text());
    const batches = new Uint8Array(await response.arrayBuffer());
    if (batches.length === 0) return { headers, values };
    for (const { header } of batchHeaders(batches)) {
      headers.push(header);
      offset = header.nextOffset;
    }
    for (const record of decodeBatches(batches))
      values.push(new TextDecoder().decode(record.value ?? undefined));
  }
}
