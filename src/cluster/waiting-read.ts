import type { LogBounds, ReadFailure } from "../../durable-objects/partition/rpc.ts";
import { batchHeaders } from "../log/batch-header.ts";
import { type AbortedTransaction, withAborted } from "../log/committed-batches.ts";
import { concatBytes } from "../model/bytes.ts";
import { isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import {
  NOTICE_SOCKETS_PER_READ_MAX,
  READ_BYTES_MAX,
  READ_POLL_MS,
  READ_WAIT_MS_MAX,
} from "../model/limits.ts";
import type { NoticeSocket } from "./notice-socket.ts";

export interface WaitOptions {
  /** Of batches; 0: do not wait. */
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly signal?: AbortSignal;
}

interface Read {
  readonly offset: number;
  readonly maxBytes: number;
  readonly isolation?: Isolation;
  readonly leaderEpoch?: number;
}

interface Answer extends LogBounds {
  readonly batches: Uint8Array;
  readonly abortedTransactions?: readonly AbortedTransaction[];
}

/** What a waiting read needs of the cluster. */
interface Source {
  read(request: Read): Promise<Answer | ReadFailure>;
  /** undefined if the partition takes no notice socket, now. */
  openNotices(): Promise<NoticeSocket | undefined>;
}

/**
 * Reads until `minBytes` are there. What has been read is not read again: each read goes on behind the one before it.
 * While there is nothing to read, no call is made: a notice socket tells when the log end has moved.
 */
export async function waitForBatches(
  request: Read,
  { minBytes, maxWaitMs, signal }: WaitOptions,
  source: Source,
): Promise<Answer | ReadFailure> {
  const deadlineMs = Date.now() + Math.min(maxWaitMs, READ_WAIT_MS_MAX);
  const maxBytes = Math.min(request.maxBytes, READ_BYTES_MAX);
  const wantedBytes = Math.min(minBytes, maxBytes);
  const { isolation = "read_uncommitted" } = request;
  const ends = new LogEnds(source, isolation);
  const parts: Uint8Array[] = [];
  let aborted: readonly AbortedTransaction[] | undefined;
  let bytes = 0;
  let offset = request.offset;
  let bounds: LogBounds | undefined;
  const answerOf = (now: LogBounds, batches: Uint8Array): Answer => ({
    ...now,
    batches,
    ...(aborted !== undefined && { abortedTransactions: aborted }),
  });
  try {
    for (;;) {
      const answer = await source.read({
        ...request,
        offset,
        maxBytes: Math.max(0, maxBytes - bytes),
      });
      if (isFailure(answer)) {
        // What was read before is still true; the next read meets the failure again.
        return bounds === undefined || bytes === 0 ? answer : answerOf(bounds, concatBytes(parts));
      }
      const { batches, abortedTransactions, ...now } = answer;
      // A batch is read whole whatever was asked; only the first may be more than that.
      const fits = bytes === 0 || bytes + batches.length <= maxBytes;
      bounds = now;
      if (fits && batches.length > 0) {
        parts.push(batches);
        bytes += batches.length;
        aborted = withAborted(aborted, abortedTransactions);
        offset = nextOffsetAfter(batches);
      }
      const end = isolation === "read_committed" ? now.lastStableOffset : now.highWatermark;
      const isEnough = bytes >= wantedBytes || !fits || offset < end;
      if (isEnough || (await ends.beyond(end, deadlineMs, signal)) !== "moved") {
        return answerOf(now, parts.length === 1 ? (parts[0] ?? batches) : concatBytes(parts));
      }
    }
  } finally {
    ends.close();
  }
}

type WatchEvent = "moved" | "closed" | "timeout" | "aborted";

/** Where what a reader may read ends, by as many notice sockets as it takes; by looking again where there are none. */
class LogEnds {
  readonly #source: Source;
  readonly #isolation: Isolation;
  #notices: NoticeSocket | undefined;
  #socketsLeft = NOTICE_SOCKETS_PER_READ_MAX;

  constructor(source: Source, isolation: Isolation) {
    this.#source = source;
    this.#isolation = isolation;
  }

  /** "moved" also when it cannot be told whether it has: the caller reads again. */
  async beyond(offset: number, deadlineMs: number, signal?: AbortSignal): Promise<WatchEvent> {
    const waitMs = deadlineMs - Date.now();
    if (waitMs <= 0) return "timeout";
    if (signal?.aborted) return "aborted";
    this.#notices ??= await this.#open();
    if (this.#notices === undefined) return sleep(Math.min(waitMs, READ_POLL_MS), signal);
    const leftMs = deadlineMs - Date.now();
    const event = await movedBeyond(this.#notices, offset, this.#isolation, leftMs, signal);
    if (event !== "closed") return event;
    // The leader was restarted, or has been deleted or moved: a read finds out.
    this.#notices = undefined;
    return "moved";
  }

  close(): void {
    this.#notices?.close();
  }

  async #open(): Promise<NoticeSocket | undefined> {
    if (this.#socketsLeft === 0) return undefined;
    this.#socketsLeft -= 1;
    return this.#source.openNotices();
  }
}

/** Waits until what such a reader may read of a partition is known to end beyond `offset`. One at a time for each socket. */
async function movedBeyond(
  notices: NoticeSocket,
  offset: number,
  isolation: Isolation,
  waitMs: number,
  signal?: AbortSignal,
): Promise<WatchEvent> {
  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();
  notices.onChange = wake;
  let isLate = waitMs <= 0;
  const late = () => {
    isLate = true;
    wake();
  };
  const timer = isLate ? undefined : setTimeout(late, waitMs);
  signal?.addEventListener("abort", wake);
  try {
    for (;;) {
      if (signal?.aborted) return "aborted";
      if ((notices.readableEnd(isolation) ?? offset) > offset) return "moved";
      if (!notices.isOpen) return "closed";
      if (isLate) return "timeout";
      await changed.promise;
      changed = Promise.withResolvers<void>();
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", wake);
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<WatchEvent> {
  const { promise, resolve } = Promise.withResolvers<WatchEvent>();
  const timer = setTimeout(() => resolve("moved"), ms);
  const abort = () => resolve("aborted");
  signal?.addEventListener("abort", abort);
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  });
}

function nextOffsetAfter(batches: Uint8Array): number {
  let next = 0;
  for (const { header } of batchHeaders(batches)) next = header.nextOffset;
  return next;
}
