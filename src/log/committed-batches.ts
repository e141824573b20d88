import { concatBytes } from "../model/bytes.ts";
import { batchHeaders } from "./batch-header.ts";
import { markerTypeOf } from "./control-batch.ts";

/** A transaction with records in a partition that was aborted. */
export interface AbortedTransaction {
  readonly producerId: number;
  /** Of its first record there. It ends with the producer's next abort marker. */
  readonly firstOffset: number;
}

/**
 * What a read_committed reader may see of batches that were read as such: those of aborted transactions are left out, and
 * markers. A batch belongs to one producer, so none need be looked into (KIP-98; what Kafka's consumer does).
 *
 * `aborted`: by first offset. The same bytes where nothing is left out.
 */
export function committedBatches(batches: Uint8Array, aborted: readonly AbortedTransaction[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const abortedProducers = new Set<number>();
  let nextAborted = 0;
  let isWhole = true;
  for (const { header, position } of batchHeaders(batches)) {
    for (let next = aborted[nextAborted]; next !== undefined && next.firstOffset <= header.lastOffset; ) {
      abortedProducers.add(next.producerId);
      next = aborted[++nextAborted];
    }
    const batch = batches.subarray(position, position + header.sizeInBytes);
    const isAborted = header.isTransactional && abortedProducers.has(header.producerId);
    if (header.isControl && markerTypeOf(batch) === "abort") abortedProducers.delete(header.producerId);
    if (header.isControl || isAborted) isWhole = false;
    else parts.push(batch);
  }
  return isWhole ? batches : concatBytes(parts);
}

/**
 * What a reader at `offset` sees of the batches that were read for it, and where it goes on: after all of them, those that
 * it does not see among them. `abortedTransactions`: absent for read_uncommitted, which sees them all.
 */
export function visibleBatches(
  read: {
    readonly batches: Uint8Array;
    readonly abortedTransactions?: readonly AbortedTransaction[] | undefined;
  },
  offset: number,
): { readonly batches: Uint8Array; readonly next: number } {
  const { batches, abortedTransactions } = read;
  let next = offset;
  for (const { header } of batchHeaders(batches)) next = Math.max(next, header.nextOffset);
  const isAll = abortedTransactions === undefined;
  return { batches: isAll ? batches : committedBatches(batches, abortedTransactions), next };
}

/** What two reads of one partition were told, by first offset; a transaction may reach into both. */
export function withAborted(
  known: readonly AbortedTransaction[] | undefined,
  told: readonly AbortedTransaction[] | undefined,
): readonly AbortedTransaction[] | undefined {
  if (known === undefined || told === undefined || known.length === 0) return told ?? known;
  const firstOffsets = new Set(known.map(({ firstOffset }) => firstOffset));
  const others = told.filter(({ firstOffset }) => !firstOffsets.has(firstOffset));
  return [...known, ...others].sort((one, other) => one.firstOffset - other.firstOffset);
}
