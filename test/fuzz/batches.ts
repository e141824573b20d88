/**
 * Fuzzes what judges a producer's record batch before it is stored, against rules that were written from Kafka's
 * description of the format alone.
 */

import { validateBatch } from "../../src/log/batch-header.ts";
import { decodeBatch } from "../../src/log/decode-batch.ts";
import { EdgelogError, type Failure, isFailure } from "../../src/model/errors.ts";
import { judgeBatch, sealed } from "./batch-rules.ts";
import { rawBatch } from "./cases.ts";
import { bytesOf, Corpus } from "./corpus.ts";
import { Random } from "./random.ts";
import { mutatedBytes } from "./values.ts";
import { check } from "./verdict.ts";

export interface BatchFuzzSummary {
  valid: number;
  invalid: number;
}

interface KeptBatch {
  readonly base64: string;
}

/** What the Worker says of the topic's clock, and the topic of its configs, is not a matter of the batch alone. */
const OF_THE_TOPIC = new Set(["too far in the future", "larger than any topic takes"]);
const SNAPPY = 2;
const LZ4 = 3;

/** @throws the first batch on which the two disagree */
export function fuzzBatches(cases: number, seed: number, keep = false): BatchFuzzSummary {
  const summary: BatchFuzzSummary = { valid: 0, invalid: 0 };
  const corpus = new Corpus<KeptBatch>("batches");
  for (const kept of corpus) corpus.knows(judged(bytesOf(kept), summary));
  const random = new Random(seed, 3_000);
  for (let number = 0; number < cases; number++) {
    let batch = rawBatch(random, random.chance(0.2) ? producer(random) : {});
    while (random.chance(0.4)) batch = mutatedBytes(random, batch);
    if (random.chance(0.6)) batch = sealed(withLength(batch));
    try {
      corpus.offer(judged(batch, summary), { base64: batch.toString("base64") });
    } catch (error) {
      throw new Error(`seed ${seed}, batch ${number}: ${batch.toString("base64")}`, { cause: error });
    }
  }
  if (keep) corpus.save();
  return summary;
}

/** What the rules say, if the code says so too. */
function judged(batch: Buffer, summary: BatchFuzzSummary): string {
  const rule = judgeBatch(batch);
  const said = codeSays(new Uint8Array(batch));
  if (typeof rule !== "string") {
    summary.valid++;
    check(said === undefined, `a batch was refused that is valid: ${said?.message}`);
    return `valid, codec ${rule.attributes & 7}, ${rule.producerId < 0 ? "no" : "a"} producer`;
  }
  summary.invalid++;
  // The rules read no snappy, no lz4, and no zstd with a window that Node finds too large.
  const codec = batch.length < 23 ? 0 : batch.readInt16BE(21) & 7;
  const isUnread =
    rule.startsWith("unreadable") && (codec === SNAPPY || codec === LZ4 || rule.includes("too much memory"));
  if (!isUnread && !OF_THE_TOPIC.has(rule)) check(said !== undefined, `a batch was taken: ${rule}`);
  return `codec ${codec}, ${said?.error}: ${rule.split(":")[0]}`;
}

/** Why it is refused; as for a batch that comes by HTTP. */
function codeSays(batch: Uint8Array): Failure | undefined {
  const header = validateBatch(batch);
  if (isFailure(header)) return header;
  if (header.isTransactional) return { error: "INVALID_TXN_STATE", message: "a transaction" };
  try {
    for (const _ of decodeBatch(batch));
    return undefined;
  } catch (error) {
    if (error instanceof EdgelogError) return error.toFailure();
    throw error;
  }
}

function producer(random: Random): Record<string, number> {
  return {
    producer_id: random.int(-2, 3),
    producer_epoch: random.int(-1, 2),
    base_sequence: random.pick([-1, 0, 5, 2 ** 31 - 1]),
  };
}

function withLength(batch: Buffer): Buffer {
  if (batch.length >= 12) batch.writeInt32BE(batch.length - 12, 8);
  return batch;
}
