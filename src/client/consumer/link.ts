import { EdgelogError } from "../../model/errors.ts";
import { SUBSCRIPTIONS_PER_SOCKET_MAX } from "../../model/limits.ts";
import type { DataFrame } from "../../subscribe/frame.ts";
import { encodeClientMessage, type ServerMessage } from "../../subscribe/protocol.ts";
import { type AbortSignalLike, onAbort } from "../abort.ts";
import type { WebSocketConstructor } from "../platform.ts";
import { backoffMs, isRetriable, pause } from "../retry.ts";
import type { Topics } from "../topics.ts";
import { path, type Transport } from "../transport.ts";
import type { ConsumeSettings } from "./options.ts";
import { Session, type SessionEnd } from "./session.ts";
import { webSocketTicket } from "./ticket.ts";

/** What a link does as it is told. */
export type LinkSettings = Pick<
  ConsumeSettings,
  | "topic"
  | "offsetReset"
  | "isolationLevel"
  | "creditBytes"
  | "reconnectBackoffMs"
  | "reconnectBackoffMaxMs"
  | "connectTimeoutMs"
  | "pingIntervalMs"
  | "onDisconnect"
> & {
  /** The topic must have this id. */
  readonly topicId?: string;
};

/** What a subscription's links share. */
export interface Wiring {
  readonly settings: LinkSettings;
  readonly transport: Transport;
  readonly topics: Topics;
  readonly WebSocket: WebSocketConstructor;
  /** Aborts when the subscription is over. */
  readonly over: AbortSignalLike;
  /** Whether WebSockets reach the cluster at all: of all links together. */
  readonly handshakes: { hasOpened: boolean };
}

/** So many first handshakes may fail while HTTP works; then something on the way blocks WebSockets. */
const HANDSHAKES_MAX = 10;

/**
 * Keeps one connection for some partitions: straight to the leader for one, through a Worker for several. Connects again
 * and resumes for as long as there is hope; gives frames on in order, each beginning where the one before it ended.
 */
export class Link {
  readonly #wiring: Wiring;
  readonly #arrived: (link: Link, frame: DataFrame) => void;
  /** Where the next frame of each partition has to begin. */
  readonly #positions: Map<number, number>;
  readonly #isDirect: boolean;
  /** Given up, while frames of theirs may still be on their way. */
  readonly #leaving = new Set<number>();
  /** To be subscribed to when they have left. */
  readonly #returning = new Map<number, number>();
  #session: Session | undefined;
  #isOpen = false;
  /** Came, and was not consumed yet. */
  #unconsumedBytes = 0;
  /** Was consumed, and is not credited yet. */
  #uncreditedBytes = 0;
  #isCreditDue = false;
  #hasProgressed = false;
  #onConsumed: (() => void) | undefined;

  constructor(
    positions: ReadonlyMap<number, number>,
    isDirect: boolean,
    wiring: Wiring,
    arrived: (link: Link, frame: DataFrame) => void,
  ) {
    this.#positions = new Map(positions);
    this.#isDirect = isDirect;
    this.#wiring = wiring;
    this.#arrived = arrived;
  }

  /** Runs until the subscription is over; throws what no reconnecting can cure. */
  async run(): Promise<void> {
    const { settings, over } = this.#wiring;
    const backoff = { firstMs: settings.reconnectBackoffMs, maxMs: settings.reconnectBackoffMaxMs };
    let failures = 0;
    while (!over.aborted) {
      try {
        await this.#roomForCredit();
        const { opened, resume, reason } = await this.#connect();
        if (over.aborted) return;
        failures = this.#hasProgressed ? 1 : failures + 1;
        if (resume && failures === 1) continue;
        settings.onDisconnect?.(reason);
        await this.#recover(opened, reason, failures);
      } catch (error) {
        if (over.aborted) return;
        if (!isRetriable(error) || error.code === "UNKNOWN_TOPIC_OR_PARTITION") throw error;
        failures += 1;
        settings.onDisconnect?.(error);
      }
      await pause(backoffMs(backoff, failures), over).catch(() => {});
    }
  }

  /** How many partitions it has. */
  get size(): number {
    return this.#positions.size + this.#returning.size;
  }

  /** One more partition, of a link through a Worker. */
  add(partition: number, offset: number): void {
    if (this.#leaving.has(partition)) this.#returning.set(partition, offset);
    else {
      this.#positions.set(partition, offset);
      this.#subscribe([[partition, offset]]);
    }
  }

  /** One less. */
  remove(partition: number): void {
    this.#returning.delete(partition);
    if (!this.#positions.delete(partition) || !this.#isOpen) return;
    this.#leaving.add(partition);
    this.#session?.send(encodeClientMessage({ type: "unsubscribe", partitions: [partition] }));
  }

  #subscribe(positions: Iterable<readonly [partition: number, offset: number]>, creditBytes?: number): void {
    const partitions = [...positions].map(([partition, offset]) => ({ partition, offset }));
    if (partitions.length === 0) return;
    this.#session?.send(
      encodeClientMessage({
        type: "subscribe",
        partitions,
        ...(creditBytes !== undefined && { credit_bytes: creditBytes }),
      }),
    );
  }

  /** The application has taken a frame whose batches have so many bytes. */
  consumed(bytes: number): void {
    this.#unconsumedBytes -= bytes;
    this.#uncreditedBytes += bytes;
    this.#onConsumed?.();
    // Not for every frame: messages to the server cost, and half a window is enough to keep it sending.
    if (this.#isCreditDue || this.#uncreditedBytes >= this.#wiring.settings.creditBytes / 2) this.#credit();
  }

  #credit(): void {
    if (this.#uncreditedBytes === 0) return;
    this.#session?.send(encodeClientMessage({ type: "credit", bytes: this.#uncreditedBytes }));
    this.#uncreditedBytes = 0;
    this.#isCreditDue = false;
  }

  /** A loop that stands still has its window full: connecting would serve nothing. */
  async #roomForCredit(): Promise<void> {
    const { over, settings } = this.#wiring;
    const end = onAbort(over, () => this.#onConsumed?.());
    while (this.#unconsumedBytes >= settings.creditBytes && !over.aborted) {
      await new Promise<void>((resolve) => {
        this.#onConsumed = resolve;
      });
      this.#onConsumed = undefined;
    }
    end();
  }

  async #connect(): Promise<SessionEnd> {
    const { settings, transport, WebSocket, over } = this.#wiring;
    const { topic, topicId, isolationLevel, connectTimeoutMs, pingIntervalMs } = settings;
    const ticket = await webSocketTicket(transport, over);
    const creditBytes = settings.creditBytes - this.#unconsumedBytes;
    const [partition, offset] = this.#isDirect ? this.#firstPosition() : [];
    this.#uncreditedBytes = 0;
    this.#isCreditDue = false;
    this.#hasProgressed = false;
    over.throwIfAborted();
    const session = new Session({
      url: transport.webSocketUrl({
        path: path`/v1/topics/${topic}/subscribe`,
        query: {
          partition,
          offset,
          credit_bytes: this.#isDirect ? creditBytes : 0,
          topic_id: topicId,
          // One that does not know it yet is asked for what it has always done.
          isolation: isolationLevel === "read_committed" ? isolationLevel : undefined,
          ticket,
        },
      }),
      WebSocket,
      connectTimeoutMs,
      pingIntervalMs,
      onOpen: () => this.#opened(creditBytes),
      onFrame: (frame) => this.#received(frame),
      onMessage: (message) => this.#told(message),
    });
    this.#session = session;
    const end = onAbort(over, () =>
      session.drop(new EdgelogError("NETWORK_EXCEPTION", "the subscription is over")),
    );
    try {
      return await session.ended;
    } finally {
      end();
      this.#session = undefined;
      this.#isOpen = false;
      this.#left(this.#leaving);
    }
  }

  #opened(creditBytes: number): void {
    this.#wiring.handshakes.hasOpened = true;
    this.#isOpen = true;
    if (!this.#isDirect) this.#subscribe(this.#positions, creditBytes);
  }

  #received(frame: DataFrame): void {
    const { partition, from, next, batches } = frame;
    const position = this.#positions.get(partition);
    if (this.#leaving.has(partition)) {
      this.#unconsumedBytes += batches.length;
      this.consumed(batches.length);
      return;
    }
    if (position === undefined) {
      throw new EdgelogError(
        "NETWORK_EXCEPTION",
        `a frame of partition ${partition} came, which was not asked for`,
      );
    }
    if (from !== position || next < from) {
      throw new EdgelogError(
        "NETWORK_EXCEPTION",
        `a frame of partition ${partition} goes from ${from} to ${next}, but the position is ${position}`,
      );
    }
    this.#positions.set(partition, next);
    this.#hasProgressed = true;
    this.#unconsumedBytes += batches.length;
    this.#arrived(this, frame);
  }

  #left(partitions: Iterable<number>): void {
    for (const partition of [...partitions]) {
      if (!this.#leaving.delete(partition)) continue;
      const offset = this.#returning.get(partition);
      this.#returning.delete(partition);
      if (offset !== undefined) this.add(partition, offset);
    }
  }

  #told(message: ServerMessage): void {
    if (message.type === "unsubscribed") this.#left(message.partitions);
    if (message.type === "caught_up") this.#hasProgressed = true;
    if (message.type === "credit_due") {
      this.#isCreditDue = true;
      this.#credit();
    }
  }

  /** What has to be done before connecting again. Throws where that would be in vain. */
  async #recover(opened: boolean, reason: EdgelogError, failures: number): Promise<void> {
    if (reason.code === "OFFSET_OUT_OF_RANGE") return this.#reset(reason);
    // There may be another topic of the same name by now: the positions in this one say nothing about it.
    if (reason.code === "UNKNOWN_TOPIC_ID") {
      throw new EdgelogError("UNKNOWN_TOPIC_OR_PARTITION", reason.message, { cause: reason });
    }
    if (!reason.retriable) throw reason;
    if (opened && reason.code === "NETWORK_EXCEPTION") return;
    // A browser does not say why a handshake failed: HTTP does.
    const { settings, topics, over } = this.#wiring;
    const { id } = await topics.describe(settings.topic, { signal: over });
    if (settings.topicId !== undefined && settings.topicId !== id) {
      const message = `topic ${settings.topic} has been made anew: it is not ${settings.topicId} any more`;
      throw new EdgelogError("UNKNOWN_TOPIC_OR_PARTITION", message, { cause: reason });
    }
    if (this.#wiring.handshakes.hasOpened || failures < HANDSHAKES_MAX) return;
    throw new EdgelogError(
      "BROKER_NOT_AVAILABLE",
      `WebSockets to the cluster fail although HTTP works, ${failures} times in a row; does a proxy block them? (${reason.message})`,
    );
  }

  /** Positions outside the log go where `offsetReset` says. */
  async #reset(reason: EdgelogError): Promise<void> {
    const { settings, topics, over } = this.#wiring;
    const { offsetReset, topic } = settings;
    if (offsetReset === "none") throw reason;
    const partitions = [...this.#positions.keys()];
    const earliest = await topics.offsets(topic, { partitions, timestamp: "earliest", signal: over });
    const latest = await topics.offsets(topic, { partitions, timestamp: "latest", signal: over });
    earliest.forEach(({ partition, offset: start }, index) => {
      const end = latest[index]?.offset ?? start;
      const position = this.#positions.get(partition) ?? start;
      if (position < start || position > end) {
        this.#positions.set(partition, offsetReset === "earliest" ? start : end);
      }
    });
  }

  #firstPosition(): [partition: number, offset: number] {
    for (const first of this.#positions) return first;
    throw new Error("a link has at least one partition");
  }
}

/** So many partitions fit on one connection. */
export const PARTITIONS_PER_LINK_MAX = SUBSCRIPTIONS_PER_SOCKET_MAX;
