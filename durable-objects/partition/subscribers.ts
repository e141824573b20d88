/**
 * The sockets that end in a partition: subscribers, who get every batch from their position on, and those that are told
 * when the log's start or end moves. All of them hibernate; what must outlive this instance is in their attachments.
 *
 * A subscriber who is behind and has credit stands in a queue. A turn gives each the next frame, in order, and ends after
 * a bounded amount of work; the next turn follows after other events had theirs. Whoever has no credit left is nowhere: the
 * credit message puts it back into the queue. When the isolate's budget is exhausted, the queue waits for credit from
 * others; that wait is the only timer here, and there is none while nobody is behind.
 */

import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import {
  SUBSCRIBER_BLOCKED_MS_MAX,
  SUBSCRIBER_CREDIT_BYTES_MAX,
  SUBSCRIBER_STALLED_MS_MAX,
  SUBSCRIBERS_PER_PARTITION_MAX,
} from "../../src/model/limits.ts";
import {
  NOTICES_PATH,
  parseLeaderSubscription,
  REMOTE_START_STATUS,
  RESUME_OFFSET_HEADER,
  SUBSCRIBE_PATH,
} from "../../src/subscribe/leader-request.ts";
import {
  CLOSE_RESUME,
  CREDIT_DUE,
  chooseSubprotocol,
  closeCodeOf,
  encodeCaughtUp,
  encodeError,
  encodeResume,
  parseClientMessage,
  resumeReason,
} from "../../src/subscribe/protocol.ts";
import { refusal } from "../../src/subscribe/refusal.ts";
import { type BudgetShare, isolateBudget, type UnsentBudget } from "../../src/subscribe/unsent-budget.ts";
import { NoticeSockets } from "./notice-sockets.ts";
import { SubscriberFrames } from "./subscriber-frames.ts";
import { readableEndOf, type SubscriberLog } from "./subscriber-log.ts";
import { closeQuietly, type SubscriberSocket, type SubscriberSockets } from "./subscriber-sockets.ts";
import { newSubscriber, readState, type SubscriberState } from "./subscriber-state.ts";

/** What one turn may do before other events get theirs. */
const TURN_SENDS_MAX = 1_000;
const TURN_WORK_BYTES_MAX = 4 * 1024 * 1024;
/** Other objects of the isolate may have freed memory; there is no event for that. */
const MEMORY_POLL_MS = 100;

export interface SubscribersOptions {
  /** Default: this isolate's. */
  readonly budget?: UnsentBudget;
  /** ms since the epoch; only tells who has owed credit for long while others wait. */
  readonly now?: () => number;
  /** Resolves after so many ms; with 0 as soon as other events have had their turn. */
  readonly wait?: (ms: number) => Promise<void>;
}

interface Subscriber {
  readonly socket: SubscriberSocket;
  readonly state: SubscriberState;
}

type Turn = "done" | "more" | "no memory";

export class Subscribers {
  readonly #log: SubscriberLog;
  readonly #sockets: SubscriberSockets;
  readonly #frames: SubscriberFrames;
  readonly #notices: NoticeSockets;
  readonly #share: BudgetShare;
  readonly #now: () => number;
  readonly #wait: (ms: number) => Promise<void>;
  #subscribers: Map<SubscriberSocket, Subscriber> | undefined;
  /** Behind, with credit, in the order of their turns. */
  readonly #queue = new Set<Subscriber>();
  #waiting: "turn" | "memory" | undefined;

  constructor(log: SubscriberLog, sockets: SubscriberSockets, options: SubscribersOptions = {}) {
    this.#log = log;
    this.#sockets = sockets;
    this.#frames = new SubscriberFrames(log);
    this.#notices = new NoticeSockets(log, sockets);
    this.#share = (options.budget ?? isolateBudget).share(this, sockets.objectId);
    this.#now = options.now ?? Date.now;
    this.#wait = options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** How many subscribers there are, notice sockets not counted. */
  count(): number {
    return this.#known().size;
  }

  /** A request for one of the paths of src/subscribe/leader-request.ts. Its answer is an upgrade or a refusal. */
  accept(request: Request): Response {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== SUBSCRIBE_PATH && pathname !== NOTICES_PATH) return refusal(failure("NOT_FOUND"));
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(failure("UPGRADE_REQUIRED"));
    }
    if (this.#known().size + this.#notices.size >= SUBSCRIBERS_PER_PARTITION_MAX) {
      return refusal(
        failure(
          "THROTTLING_QUOTA_EXCEEDED",
          `This partition has ${SUBSCRIBERS_PER_PARTITION_MAX} sockets, which is the most it takes; retry later.`,
        ),
      );
    }
    return pathname === NOTICES_PATH ? this.#notices.accept() : this.#acceptSubscriber(request, searchParams);
  }

  #acceptSubscriber(request: Request, query: URLSearchParams): Response {
    const subscription = parseLeaderSubscription(query);
    if (isFailure(subscription)) return refusal(subscription);
    const start = this.#log.logStartOffset();
    const end = this.#log.logEndOffset();
    const readableEnd = readableEndOf(this.#log, subscription.isolation);
    const offset =
      subscription.offset === "earliest"
        ? start
        : subscription.offset === "latest"
          ? readableEnd
          : subscription.offset;
    // Where there is nothing to read yet, this is the place to wait, wherever it will be by then.
    if (offset >= start && offset < this.#log.earliestLocalOffset() && offset < readableEnd) {
      return new Response(null, {
        status: REMOTE_START_STATUS,
        headers: { [RESUME_OFFSET_HEADER]: String(offset) },
      });
    }
    const subprotocol = chooseSubprotocol(request.headers.get("sec-websocket-protocol"));
    const { socket, response } = this.#sockets.upgrade("subscriber", subprotocol);
    const subscriber = { socket, state: newSubscriber(subscription, offset) };
    this.#known().set(socket, subscriber);
    socket.serializeAttachment(subscriber.state);
    if (offset < start || offset > end) this.#outOfRange(subscriber);
    else this.#join(subscriber);
    this.#run();
    return response;
  }

  /** The leader's, after each flush and in the same turn: the output gate holds what is sent until it is durable. */
  logEndMoved(): void {
    try {
      this.#notices.tellAll();
      for (const subscriber of this.#known().values()) {
        if (subscriber.state.credit > 0) this.#queue.add(subscriber);
      }
      if (this.#someoneWaitsLong()) this.#demandCredit();
      this.#run();
    } catch (error) {
      // It would fail the append, which has nothing to do with it.
      console.error(`subscribers were not served: ${String(error)}`);
    }
  }

  /** Likewise when records have been deleted, or have expired. Subscribers find out when they are served. */
  logStartMoved(): void {
    try {
      this.#notices.tellAll();
    } catch (error) {
      console.error(`notices were not sent: ${String(error)}`);
    }
  }

  /** A message came in on one of the sockets. */
  message(socket: SubscriberSocket, data: string | ArrayBuffer): void {
    const subscriber = this.#known().get(socket);
    // Notice sockets have nothing to say, and a closed one may still have had a message under way.
    if (subscriber === undefined) return;
    const message = parseClientMessage(data);
    if (isFailure(message)) this.#end(subscriber, message);
    else if (message.type === "credit") this.#credit(subscriber, message.bytes);
    else this.#end(subscriber, ONE_PARTITION);
    this.#run();
  }

  /** A socket is closed, or broken. */
  close(socket: SubscriberSocket): void {
    // The platform leaves the other half of the closing handshake to us.
    closeQuietly(socket, 1000, "");
    this.#notices.forget(socket);
    const subscriber = this.#known().get(socket);
    if (subscriber === undefined) return;
    this.#forget(subscriber);
    this.#run();
  }

  /** The partition is no longer led here (deleted, moved): every subscriber is told why, every socket is closed. */
  closeAll(reason: Failure): void {
    for (const subscriber of [...this.#known().values()]) this.#end(subscriber, reason);
    this.#notices.closeAll(reason);
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** It has all that it may read. One that began behind that waits until it may read more. */
  #isAtEnd({ next, isolation }: SubscriberState): boolean {
    return next >= readableEndOf(this.#log, isolation) && next <= this.#log.logEndOffset();
  }

  #join(subscriber: Subscriber): void {
    const { state } = subscriber;
    if (this.#isAtEnd(state)) this.#tellCaughtUp(subscriber);
    else if (state.credit > 0) this.#queue.add(subscriber);
  }

  #run(): void {
    if (this.#waiting === "turn") return;
    const outcome = this.#turn();
    if (outcome === "more") this.#runAfter("turn", 0);
    else if (outcome === "no memory" && this.#waiting === undefined) {
      this.#demandCredit();
      this.#runAfter("memory", MEMORY_POLL_MS);
    }
  }

  #runAfter(waiting: "turn" | "memory", ms: number): void {
    this.#waiting = waiting;
    void this.#wait(ms).then(() => {
      // A turn may have become due while the wait for memory was under way; then this is no news.
      if (this.#waiting !== waiting) return;
      this.#waiting = undefined;
      this.#run();
    });
  }

  #turn(): Turn {
    let sends = 0;
    this.#frames.workBytes = 0;
    for (const subscriber of this.#queue) {
      if (sends++ >= TURN_SENDS_MAX || this.#frames.workBytes >= TURN_WORK_BYTES_MAX) return "more";
      const outcome = this.#serveSafely(subscriber);
      if (outcome === "no memory") return outcome;
      this.#queue.delete(subscriber);
      // At the end of the queue: this loop comes to it again after all others.
      if (outcome === "more") this.#queue.add(subscriber);
    }
    this.#share.unblocked();
    return "done";
  }

  /** What goes wrong with one subscriber must not become the others' problem, or the appender's. */
  #serveSafely(subscriber: Subscriber): Turn {
    try {
      return this.#serve(subscriber);
    } catch (error) {
      console.error(`a subscriber could not be served: ${String(error)}`);
      this.#end(subscriber, failure("UNKNOWN_SERVER_ERROR"));
      return "done";
    }
  }

  /** One frame. "more": it is still behind and has credit. */
  #serve(subscriber: Subscriber): Turn {
    const { state, socket } = subscriber;
    if (state.credit <= 0 || this.#isAtEnd(state)) return "done";
    // The runtime's own queue; its length is the credit, unless a client credits what it never took.
    if (socket.bufferedAmount > SUBSCRIBER_CREDIT_BYTES_MAX) return "done";
    const room = this.#share.free() - state.unsent;
    if (room <= 0 && state.unsent > 0) {
      // It has more than its part already: its own credit will put it back into the queue.
      this.#askForCredit(subscriber);
      return "done";
    }
    const frame = this.#frames.frame(state, Math.min(state.credit, Math.max(room, 1)));
    if (frame === "remote") {
      if (this.#send(subscriber, encodeResume(state.partition, state.next))) {
        this.#leave(subscriber, CLOSE_RESUME, resumeReason(state.next));
      }
      return "done";
    }
    if (frame === "out_of_range") {
      this.#outOfRange(subscriber);
      return "done";
    }
    if ("error" in frame) {
      this.#end(subscriber, frame);
      return "done";
    }
    if (!this.#share.admits(frame.size, state.unsent)) {
      if (state.unsent === 0) {
        this.#share.blocked(this.#now());
        return "no memory";
      }
      this.#askForCredit(subscriber);
      return "done";
    }
    state.next = frame.next;
    state.credit -= frame.batchBytes;
    state.owed += frame.batchBytes;
    // What costs no credit will never be credited.
    const unsent = frame.batchBytes === 0 ? 0 : frame.size;
    state.unsent += unsent;
    this.#share.add(unsent);
    this.#share.unblocked();
    if (!this.#send(subscriber, frame.data)) return "done";
    if (state.unsent * 2 > this.#share.free()) this.#askForCredit(subscriber);
    if (this.#isAtEnd(state)) {
      if (state.caughtUp) socket.serializeAttachment(state);
      else this.#tellCaughtUp(subscriber);
      return "done";
    }
    socket.serializeAttachment(state);
    return state.credit > 0 ? "more" : "done";
  }

  // ── credit ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #credit(subscriber: Subscriber, bytes: number): void {
    const { state } = subscriber;
    if (state.credit + bytes > SUBSCRIBER_CREDIT_BYTES_MAX) {
      const problem = `credit may add up to ${SUBSCRIBER_CREDIT_BYTES_MAX} bytes; this socket has ${state.credit} left.`;
      this.#end(subscriber, failure("INVALID_REQUEST", problem));
      return;
    }
    const paid = Math.min(bytes, state.owed);
    const freed = paid === state.owed ? state.unsent : Math.floor((state.unsent * paid) / state.owed);
    state.credit += bytes;
    state.owed -= paid;
    state.unsent -= freed;
    state.dueSinceMs = 0;
    this.#share.add(-freed);
    subscriber.socket.serializeAttachment(state);
    if (state.credit > 0 && !this.#isAtEnd(state)) this.#queue.add(subscriber);
  }

  #askForCredit(subscriber: Subscriber): void {
    const { state } = subscriber;
    if (state.dueSinceMs !== 0) return;
    state.dueSinceMs = this.#now();
    if (this.#send(subscriber, CREDIT_DUE)) subscriber.socket.serializeAttachment(state);
  }

  /** Others wait for memory: whoever holds some is asked for credit, and closed if they and it wait long already. */
  #demandCredit(): void {
    const nowMs = this.#now();
    const isUrgent = this.#someoneWaitsLong();
    for (const subscriber of [...this.#known().values()]) {
      const { unsent, dueSinceMs } = subscriber.state;
      if (unsent === 0) continue;
      if (dueSinceMs === 0) this.#askForCredit(subscriber);
      else if (isUrgent && nowMs - dueSinceMs >= SUBSCRIBER_STALLED_MS_MAX) this.#end(subscriber, STALLED);
    }
  }

  #someoneWaitsLong(): boolean {
    return this.#now() - this.#share.someoneWaitsSince() >= SUBSCRIBER_BLOCKED_MS_MAX;
  }

  // ── one socket ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #tellCaughtUp(subscriber: Subscriber): void {
    const { state } = subscriber;
    state.caughtUp = true;
    if (this.#send(subscriber, encodeCaughtUp(state.partition, state.next, this.#log.logEndOffset()))) {
      subscriber.socket.serializeAttachment(state);
    }
  }

  #outOfRange(subscriber: Subscriber): void {
    const logStartOffset = this.#log.logStartOffset();
    const highWatermark = this.#log.logEndOffset();
    const message = `offset ${subscriber.state.next} lies outside the log, which has offsets ${logStartOffset} to ${highWatermark}`;
    this.#end(subscriber, failure("OFFSET_OUT_OF_RANGE", message), { logStartOffset, highWatermark });
  }

  #end(
    subscriber: Subscriber,
    reason: Failure,
    bounds: { logStartOffset?: number; highWatermark?: number } = {},
  ) {
    const { partition } = subscriber.state;
    if (!this.#send(subscriber, encodeError(reason, { partition, ...bounds }))) return;
    this.#leave(subscriber, closeCodeOf(reason.error), reason.error);
  }

  #leave(subscriber: Subscriber, code: number, reason: string): void {
    this.#forget(subscriber);
    closeQuietly(subscriber.socket, code, reason);
  }

  /** False if the socket is no more; then it is forgotten. */
  #send(subscriber: Subscriber, data: string | Uint8Array): boolean {
    try {
      subscriber.socket.send(data);
      return true;
    } catch {
      // The client is gone, and the event that says so has not come yet.
      this.#forget(subscriber);
      return false;
    }
  }

  #forget(subscriber: Subscriber): void {
    if (!this.#known().delete(subscriber.socket)) return;
    this.#queue.delete(subscriber);
    this.#share.add(-subscriber.state.unsent);
  }

  /** On waking, attachments are all that there is. */
  #known(): Map<SubscriberSocket, Subscriber> {
    if (this.#subscribers !== undefined) return this.#subscribers;
    this.#subscribers = new Map();
    for (const socket of this.#sockets.open("subscriber")) {
      const state = readState(socket.deserializeAttachment());
      if (state === undefined) {
        closeQuietly(socket, closeCodeOf("UNKNOWN_SERVER_ERROR"), "UNKNOWN_SERVER_ERROR");
        continue;
      }
      this.#subscribers.set(socket, { socket, state });
      this.#share.add(state.unsent);
    }
    return this.#subscribers;
  }
}

const ONE_PARTITION = failure(
  "INVALID_REQUEST",
  "This socket carries the partition it was opened for; to subscribe by message, open one without partition= and offset=.",
);
const STALLED = failure(
  "THROTTLING_QUOTA_EXCEEDED",
  "Credit was asked for and did not come while others waited for memory; reconnect and resume.",
);
