import type { LogBounds, ReadFailure } from "../../../durable-objects/partition/rpc.ts";
import { batchHeaders } from "../../log/batch-header.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { errorRow, type Failure, failure, isFailure } from "../../model/errors.ts";
import {
  KAFKA_FETCH_BYTES_MAX,
  KAFKA_FETCH_STEP_BYTES_MIN,
  KAFKA_PARTITIONS_AT_ONCE,
  READ_WAIT_MS_MAX,
} from "../../model/limits.ts";
import type { Topic } from "../../model/topic.ts";
import { fetchBytes } from "../byte-budget.ts";
import { type Call, handler } from "../handler.ts";
import { fetchApi } from "../messages/fetch.ts";
import type { RequestOf } from "../schema.ts";

type Request = RequestOf<typeof fetchApi>;
type FetchTopic = Request["topics"][number];
type FetchPartition = FetchTopic["partitions"][number];

const FIRST_VERSION_BY_ID = 13;
/** Clients that ask in an older version cannot read zstd (KIP-110). */
const FIRST_VERSION_WITH_ZSTD = 10;
const READ_COMMITTED = 1;
const NO_RECORDS = new Uint8Array(0);

export const fetch = handler(
  fetchApi,
  async (request, call) => {
    // Sessions are not kept: every Fetch names all of its partitions, as after an answer with the session id 0.
    if (request.sessionId !== 0)
      return { errorCode: errorRow("FETCH_SESSION_ID_NOT_FOUND").code, responses: [] };
    const read = new FetchRead(request, call);
    call.hold(() => read.release());
    await read.run();
    return { responses: read.responses() };
  },
  "fetch",
);

/** One partition of a Fetch, and what has come of it. */
interface Item {
  readonly request: FetchPartition;
  readonly topic: Topic | Failure;
  /** undefined: nothing was read, or not kept, because the answer was full before it. */
  outcome: Outcome | undefined;
}

interface Outcome {
  /** -1 where they are not known. */
  readonly bounds: LogBounds;
  readonly records: Uint8Array;
  readonly failed?: Failure;
  readonly diverging?: { readonly epoch: number; readonly endOffset: number };
}

const UNKNOWN_BOUNDS: LogBounds = {
  logStartOffset: -1,
  highWatermark: -1,
  lastStableOffset: -1,
  leaderEpoch: -1,
};

class FetchRead {
  readonly #request: Request;
  readonly #call: Call;
  readonly #maxBytes: number;
  #items: readonly (readonly Item[])[] = [];
  #bytes = 0;
  /** There is more to read than there is room for. */
  #isFull = false;

  constructor(request: Request, call: Call) {
    this.#request = request;
    this.#call = call;
    this.#maxBytes = Math.max(0, Math.min(request.maxBytes, KAFKA_FETCH_BYTES_MAX));
  }

  async run(): Promise<void> {
    const { maxWaitMs, minBytes } = this.#request;
    const deadlineMs = Date.now() + Math.min(maxWaitMs, READ_WAIT_MS_MAX);
    const { topics } = this.#request;
    this.#items = await mapAtOnce(topics, KAFKA_PARTITIONS_AT_ONCE, (topic) => this.#itemsOf(topic));
    const items = this.#items.flat();
    await this.#read(items);
    const enough = Math.min(minBytes, this.#maxBytes);
    while (this.#bytes < enough && !this.#isFull && !items.some(isWorthAnswering)) {
      const leftMs = deadlineMs - Date.now();
      if (leftMs <= 0) return;
      const waiting = items.flatMap(({ topic, request: { partition }, outcome }) =>
        outcome === undefined || isFailure(topic)
          ? []
          : [{ topic, partition, offset: outcome.bounds.highWatermark }],
      );
      if (!(await this.#call.session.fetches.moved(waiting, leftMs))) return;
      await this.#read(items);
    }
  }

  /**
   * The answer in the order of the request. All partitions are in it, as the Java client insists: an answer that leaves
   * one out it drops as a whole.
   */
  responses() {
    return this.#request.topics.map(({ topic, topicId }, index) => ({
      topic,
      topicId,
      partitions: (this.#items[index] ?? []).map((item) =>
        this.#response(item.request.partition, item.outcome ?? this.#unread(item)),
      ),
    }));
  }

  release(): void {
    fetchBytes.give(this.#bytes);
    this.#bytes = 0;
  }

  #unread({ topic, request }: Item): Outcome {
    const known = isFailure(topic)
      ? undefined
      : this.#call.session.fetches.lastBounds(topic, request.partition);
    return { bounds: known ?? UNKNOWN_BOUNDS, records: NO_RECORDS };
  }

  #response(partitionIndex: number, { bounds, records, failed, diverging }: Outcome) {
    return {
      partitionIndex,
      errorCode: failed === undefined ? 0 : errorRow(failed.error).code,
      highWatermark: bounds.highWatermark,
      lastStableOffset: bounds.lastStableOffset,
      logStartOffset: bounds.logStartOffset,
      divergingEpoch: diverging,
      abortedTransactions: this.#request.isolationLevel === READ_COMMITTED ? [] : null,
      records,
    };
  }

  async #itemsOf({ topic: name, topicId, partitions }: FetchTopic): Promise<Item[]> {
    const reference = this.#call.version < FIRST_VERSION_BY_ID ? name : { id: topicId };
    const topic = await this.#call.session.fetches.topic(reference);
    return partitions.map((request) => ({ request, topic, outcome: undefined }));
  }

  /**
   * Reads what may have something new, several partitions at once. Each is promised its share of what the answer has room
   * for before the next one is; what it does not use goes to those after it.
   */
  async #read(items: readonly Item[]): Promise<void> {
    const unanswered = items.filter((item) => !this.#isAnsweredWithoutReading(item));
    for (const item of unanswered) this.#forget(item);
    const left = unanswered.values();
    let room = this.#maxBytes - this.#bytes;
    const worker = async (): Promise<void> => {
      for (const item of left) {
        if (room <= 0 && this.#bytes > 0) {
          this.#isFull = true;
          continue;
        }
        const wanted = Math.max(0, Math.min(item.request.partitionMaxBytes, room));
        const share = Math.min(wanted, Math.max(KAFKA_FETCH_STEP_BYTES_MIN, fetchBytes.left));
        room -= share;
        fetchBytes.take(share);
        const outcome = await this.#readPartition(item, share).finally(() => fetchBytes.give(share));
        const { length } = outcome.records;
        room += share - length;
        // Only the first batch of the whole answer may be more than what was asked for.
        if (length > share && this.#bytes > 0 && this.#bytes + length > this.#maxBytes) {
          this.#isFull = true;
          continue;
        }
        item.outcome = outcome;
        this.#bytes += length;
        fetchBytes.take(length);
      }
    };
    await Promise.all(Array.from({ length: KAFKA_PARTITIONS_AT_ONCE }, worker));
  }

  /** What an earlier round has read is read again, with what has been appended since. */
  #forget(item: Item): void {
    const length = item.outcome?.records.length ?? 0;
    item.outcome = undefined;
    this.#bytes -= length;
    fetchBytes.give(length);
  }

  #isAnsweredWithoutReading(item: Item): boolean {
    const { topic, request } = item;
    if (isFailure(topic)) {
      item.outcome = { bounds: UNKNOWN_BOUNDS, records: NO_RECORDS, failed: topic };
      return true;
    }
    const { partition, fetchOffset, currentLeaderEpoch, lastFetchedEpoch } = request;
    const bounds = this.#call.session.fetches.boundsAtEnd(topic, partition, fetchOffset);
    if (bounds === undefined) return false;
    const agrees = (epoch: number) => epoch === -1 || epoch === bounds.leaderEpoch;
    if (!agrees(currentLeaderEpoch) || !agrees(lastFetchedEpoch)) return false;
    item.outcome = { bounds, records: NO_RECORDS };
    return true;
  }

  async #readPartition({ topic, request }: Item, maxBytes: number): Promise<Outcome> {
    if (isFailure(topic)) return { bounds: UNKNOWN_BOUNDS, records: NO_RECORDS, failed: topic };
    const { cluster, fetches } = this.#call.session;
    const { partition, fetchOffset, currentLeaderEpoch, lastFetchedEpoch } = request;
    const isolation = this.#request.isolationLevel === READ_COMMITTED ? "read_committed" : "read_uncommitted";
    const answer = await cluster.read({ id: topic.id }, partition, {
      offset: fetchOffset,
      maxBytes,
      isolation,
      ...(currentLeaderEpoch >= 0 && { leaderEpoch: currentLeaderEpoch }),
    });
    if (isFailure(answer)) return refused(this.#inWordsOfVersion(answer));
    const { batches, ...bounds } = answer;
    fetches.learned(topic, partition, bounds);
    if (lastFetchedEpoch >= 0 && lastFetchedEpoch < bounds.leaderEpoch) {
      const end = await cluster.offsetForLeaderEpoch({ id: topic.id }, partition, lastFetchedEpoch);
      if (isFailure(end)) return refused(end);
      if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
        return { bounds, records: NO_RECORDS, diverging: { epoch: end.epoch, endOffset: end.endOffset } };
      }
    }
    if (this.#call.version < FIRST_VERSION_WITH_ZSTD && hasZstd(batches)) {
      const failed = failure(
        "UNSUPPORTED_COMPRESSION_TYPE",
        `zstd needs Fetch version ${FIRST_VERSION_WITH_ZSTD}`,
      );
      return { bounds, records: NO_RECORDS, failed };
    }
    return { bounds, records: batches };
  }

  /** Who asks by name knows nothing of ids. */
  #inWordsOfVersion(failed: ReadFailure): ReadFailure {
    const isById = this.#call.version >= FIRST_VERSION_BY_ID;
    if (isById || failed.error !== "UNKNOWN_TOPIC_ID") return failed;
    return { ...failed, ...failure("UNKNOWN_TOPIC_OR_PARTITION") };
  }
}

function refused(failed: ReadFailure): Outcome {
  const { logStartOffset = -1, highWatermark = -1, lastStableOffset = -1, leaderEpoch = -1 } = failed;
  const bounds = { logStartOffset, highWatermark, lastStableOffset, leaderEpoch };
  return { bounds, records: NO_RECORDS, failed };
}

/** Errors and diverging epochs are told at once, whatever min_bytes says. */
function isWorthAnswering({ outcome }: Item): boolean {
  return outcome?.failed !== undefined || outcome?.diverging !== undefined;
}

function hasZstd(batches: Uint8Array): boolean {
  for (const { header } of batchHeaders(batches)) if (header.compression === 4) return true;
  return false;
}
