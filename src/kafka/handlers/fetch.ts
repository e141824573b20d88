import type { LogBounds, ReadFailure } from "../../../durable-objects/partition/rpc.ts";
import { batchHeaders } from "../../log/batch-header.ts";
import { type AbortedTransaction, withAborted } from "../../log/committed-batches.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { concatBytes, releaseBytes } from "../../model/bytes.ts";
import { errorRow, type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Isolation } from "../../model/isolation.ts";
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
  /** What has been read, in the order of the log. */
  readonly parts: Uint8Array[];
  bytes: number;
  /** The offset behind it, at which the next read begins. */
  nextOffset: number;
  /** Of a read_committed Fetch, in what has been read. */
  aborted: readonly AbortedTransaction[];
  /** undefined: nothing was read, or not kept, because the answer was full before it. */
  outcome: Outcome | undefined;
}

interface Outcome {
  /** -1 where they are not known. */
  readonly bounds: LogBounds;
  readonly failed?: Failure;
  readonly diverging?: { readonly epoch: number; readonly endOffset: number };
}

/** What one read has found. */
interface Found extends Outcome {
  readonly records: Uint8Array;
  readonly aborted?: readonly AbortedTransaction[] | undefined;
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
  readonly #isolation: Isolation;
  #items: readonly (readonly Item[])[] = [];
  #bytes = 0;
  /** There is more to read than there is room for. */
  #isFull = false;

  constructor(request: Request, call: Call) {
    this.#request = request;
    this.#call = call;
    this.#maxBytes = Math.max(0, Math.min(request.maxBytes, KAFKA_FETCH_BYTES_MAX));
    this.#isolation = request.isolationLevel === READ_COMMITTED ? "read_committed" : "read_uncommitted";
  }

  async run(): Promise<void> {
    const { maxWaitMs, minBytes } = this.#request;
    const deadlineMs = Date.now() + Math.min(maxWaitMs, READ_WAIT_MS_MAX);
    const { topics } = this.#request;
    this.#items = await mapAtOnce(topics, KAFKA_PARTITIONS_AT_ONCE, (topic) => this.#itemsOf(topic));
    const items = this.#items.flat();
    await this.#read(items);
    const enough = Math.min(minBytes, this.#maxBytes);
    for (let before = 0; this.#bytes < enough && !this.#isFull && !items.some(isWorthAnswering); ) {
      // A read ends where a segment does; as long as it brings something, the next may bring more.
      const mayHaveMore = this.#bytes > before && items.some((item) => this.#isBehind(item));
      if (!mayHaveMore && !(await this.#somethingMoves(items, deadlineMs - Date.now()))) return;
      before = this.#bytes;
      await this.#read(items);
    }
  }

  async #somethingMoves(items: readonly Item[], leftMs: number): Promise<boolean> {
    if (leftMs <= 0) return false;
    const waiting = items.flatMap(({ topic, request: { partition }, outcome }) =>
      outcome === undefined || isFailure(topic)
        ? []
        : [{ topic, partition, isolation: this.#isolation, offset: this.#end(outcome.bounds) }],
    );
    return this.#call.session.fetches.moved(waiting, leftMs);
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
        this.#response(item, item.outcome ?? this.#unread(item)),
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
    return { bounds: known ?? UNKNOWN_BOUNDS };
  }

  #response(item: Item, { bounds, failed, diverging }: Outcome) {
    return {
      partitionIndex: item.request.partition,
      errorCode: failed === undefined ? 0 : errorRow(failed.error).code,
      highWatermark: bounds.highWatermark,
      lastStableOffset: bounds.lastStableOffset,
      logStartOffset: bounds.logStartOffset,
      divergingEpoch: diverging,
      abortedTransactions: this.#isolation === "read_committed" ? item.aborted : null,
      records: recordsOf(item),
    };
  }

  async #itemsOf({ topic: name, topicId, partitions }: FetchTopic): Promise<Item[]> {
    const reference = this.#call.version < FIRST_VERSION_BY_ID ? name : { id: topicId };
    const topic = await this.#call.session.fetches.topic(reference);
    return partitions.map((request) => {
      const { fetchOffset: nextOffset } = request;
      return { request, topic, parts: [], bytes: 0, nextOffset, aborted: [], outcome: undefined };
    });
  }

  /**
   * Reads what may have something new, each partition on from where the read before it has come; then those once more that
   * have used up their share of the answer's room, of what the others have left of theirs.
   */
  async #read(items: readonly Item[]): Promise<void> {
    let reading: readonly Item[] = items.filter((item) => !this.#isAnsweredWithoutReading(item));
    while (reading.length > 0) reading = await this.#readShares(reading);
  }

  /**
   * Several partitions at once, among which the room is shared; what one does not use goes to those after it. Returns those
   * that would have taken more.
   */
  async #readShares(items: readonly Item[]): Promise<readonly Item[]> {
    const unsated: Item[] = [];
    const left = items.values();
    let room = this.#maxBytes - this.#bytes;
    const atOnce = Math.min(items.length, KAFKA_PARTITIONS_AT_ONCE);
    const fair = Math.max(KAFKA_FETCH_STEP_BYTES_MIN, Math.floor(room / atOnce));
    const worker = async (): Promise<void> => {
      for (const item of left) {
        if (room <= 0 && this.#bytes > 0) {
          this.#isFull = true;
          continue;
        }
        const wanted = Math.max(0, Math.min(item.request.partitionMaxBytes - item.bytes, room));
        const promised = Math.min(wanted, fair);
        const share = Math.min(promised, Math.max(KAFKA_FETCH_STEP_BYTES_MIN, fetchBytes.left));
        room -= share;
        fetchBytes.take(share);
        const { records, aborted, ...outcome } = await this.#readPartition(item, share).finally(() =>
          fetchBytes.give(share),
        );
        const { length } = records;
        room += share - length;
        // Only the first batch of the whole answer may be more than what was asked for.
        const isOver = item.bytes > 0 || (this.#bytes > 0 && this.#bytes + length > this.#maxBytes);
        // What was read before is still true; the next Fetch meets the failure again.
        const comesTooLate = item.bytes > 0 && outcome.failed !== undefined;
        if ((length > share && isOver) || comesTooLate) {
          this.#isFull = true;
          continue;
        }
        item.outcome = outcome;
        this.#bytes += length;
        fetchBytes.take(length);
        if (length === 0) continue;
        keep(item, records, aborted);
        if (promised < wanted && share === promised && this.#isBehind(item)) unsated.push(item);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return unsated;
  }

  #isAnsweredWithoutReading(item: Item): boolean {
    const { topic, request, nextOffset } = item;
    if (isFailure(topic)) {
      item.outcome = { bounds: UNKNOWN_BOUNDS, failed: topic };
      return true;
    }
    const { partition, currentLeaderEpoch, lastFetchedEpoch } = request;
    const place = { topic, partition, isolation: this.#isolation, offset: nextOffset };
    const bounds = this.#call.session.fetches.boundsAtEnd(place);
    if (bounds === undefined) return false;
    const agrees = (epoch: number) => epoch === -1 || epoch === bounds.leaderEpoch;
    if (!agrees(currentLeaderEpoch) || !agrees(lastFetchedEpoch)) return false;
    item.outcome = { bounds };
    return true;
  }

  async #readPartition({ topic, request, nextOffset }: Item, maxBytes: number): Promise<Found> {
    if (isFailure(topic)) return { bounds: UNKNOWN_BOUNDS, records: NO_RECORDS, failed: topic };
    const { cluster, fetches } = this.#call.session;
    const { partition, currentLeaderEpoch, lastFetchedEpoch } = request;
    const answer = await cluster.read({ id: topic.id }, partition, {
      offset: nextOffset,
      maxBytes,
      isolation: this.#isolation,
      ...(currentLeaderEpoch >= 0 && { leaderEpoch: currentLeaderEpoch }),
    });
    if (isFailure(answer)) return refused(this.#inWordsOfVersion(answer));
    const { batches, abortedTransactions: aborted, ...bounds } = answer;
    fetches.learned(topic, partition, bounds);
    if (lastFetchedEpoch >= 0 && lastFetchedEpoch < bounds.leaderEpoch) {
      const end = await cluster.offsetForLeaderEpoch({ id: topic.id }, partition, lastFetchedEpoch);
      if (isFailure(end)) return refused(end);
      if (end.epoch < lastFetchedEpoch || end.endOffset < request.fetchOffset) {
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
    return { bounds, records: batches, aborted };
  }

  /** Where what the client may read ends. */
  #end({ highWatermark, lastStableOffset }: LogBounds): number {
    return this.#isolation === "read_committed" ? lastStableOffset : highWatermark;
  }

  #isBehind({ outcome, nextOffset }: Item): boolean {
    return outcome !== undefined && nextOffset < this.#end(outcome.bounds);
  }

  /** Who asks by name knows nothing of ids. */
  #inWordsOfVersion(failed: ReadFailure): ReadFailure {
    const isById = this.#call.version >= FIRST_VERSION_BY_ID;
    if (isById || failed.error !== "UNKNOWN_TOPIC_ID") return failed;
    return { ...failed, ...failure("UNKNOWN_TOPIC_OR_PARTITION") };
  }
}

/** Behind what the item has. */
function keep(item: Item, records: Uint8Array, aborted: readonly AbortedTransaction[] | undefined): void {
  item.aborted = withAborted(item.aborted, aborted) ?? [];
  item.parts.push(records);
  item.bytes += records.length;
  for (const { header } of batchHeaders(records)) item.nextOffset = header.nextOffset;
}

/** As one; copied only where they came in several reads. */
function recordsOf({ parts }: Item): Uint8Array {
  const [first = NO_RECORDS, ...others] = parts;
  if (others.length === 0) return first;
  const whole = concatBytes(parts);
  for (const part of parts.splice(0, parts.length, whole)) releaseBytes(part);
  return whole;
}

function refused(failed: ReadFailure): Found {
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
