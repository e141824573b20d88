import { decodeBatches } from "../../log/batch.ts";
import { EdgelogError } from "../../model/errors.ts";
import type { DataFrame } from "../../subscribe/frame.ts";
import { onAbort, Stop } from "../abort.ts";
import { ConsumedRecord } from "../record.ts";
import { Inbox } from "./inbox.ts";
import { Link, PARTITIONS_PER_LINK_MAX, type Wiring } from "./link.ts";
import { type ConsumeOptions, type ConsumeSettings, consumeSettings, offsetEntries } from "./options.ts";

/**
 * The records of a topic as an async iterator; made by `client.consume()`. It begins when the first record (or
 * `positions()`) is asked for, and is over when the loop is left, `close()` is called or the signal aborts.
 *
 * The loop throws what no reconnecting can cure, such as UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE (see
 * `offsetReset`) or SASL_AUTHENTICATION_FAILED.
 */
export class Subscription implements AsyncIterableIterator<ConsumedRecord, void, undefined> {
  readonly #settings: ConsumeSettings;
  readonly #wiring: Wiring;
  readonly #inbox = new Inbox();
  readonly #over = new Stop();
  readonly #records: AsyncGenerator<ConsumedRecord, void, undefined>;
  /** The offset after the last record that was given out. */
  readonly #positions = new Map<number, number>();
  /** With `follow: false`: where each partition ends that is not done yet. */
  readonly #ends = new Map<number, number>();
  #started: Promise<void> | undefined;
  #isClosed = false;
  #lookForMoreTimer: ReturnType<typeof setInterval> | undefined;

  /** @internal */
  constructor(
    topic: string,
    options: ConsumeOptions,
    wiring: Pick<Wiring, "topics" | "transport" | "WebSocket">,
  ) {
    this.#settings = consumeSettings(topic, options);
    this.#wiring = {
      ...wiring,
      settings: this.#settings,
      over: this.#over,
      handshakes: { hasOpened: false },
    };
    this.#records = this.#iterate();
  }

  /** The next record, when there is one. */
  next(): Promise<IteratorResult<ConsumedRecord, void>> {
    return this.#records.next();
  }

  /** Ends it, as leaving a `for await` loop does. */
  return(): Promise<IteratorResult<ConsumedRecord, void>> {
    this.#isClosed = true;
    this.#end();
    return this.#records.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends it: a loop that waits for the next record is left without an error. */
  async close(): Promise<void> {
    await this.return();
  }

  /** For `await using records = client.consume(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Of each partition the offset after the last record that was given out: keep them, and `from: { offsets }` resumes there.
   * Before the first record: where it begins, which from then on is settled (`"latest"` included).
   */
  async positions(): Promise<Map<number, number>> {
    await this.#start();
    return new Map([...this.#positions].sort(([a], [b]) => a - b));
  }

  async *#iterate(): AsyncGenerator<ConsumedRecord, void, undefined> {
    const { signal, follow } = this.#settings;
    try {
      await this.#start();
      for (;;) {
        if (!follow && this.#ends.size === 0) return;
        const arrival = await this.#inbox.take();
        if (arrival === undefined) return;
        for (const record of this.#unread(arrival.frame)) {
          yield record;
          signal?.throwIfAborted();
          if (this.#over.aborted) return;
        }
        arrival.link.consumed(arrival.frame.batches.length);
      }
    } catch (error) {
      // close() may come while it is still finding out where to begin.
      if (!this.#isClosed || signal?.aborted) throw error;
    } finally {
      this.#end();
    }
  }

  *#unread({ partition, from, next, batches }: DataFrame): Generator<ConsumedRecord, void, undefined> {
    const { follow, topic } = this.#settings;
    const end = follow ? Number.POSITIVE_INFINITY : this.#ends.get(partition);
    if (end === undefined) return;
    for (const record of decodeBatches(batches)) {
      // Whole batches come: the first may begin before what was asked for, the last may end after it.
      if (record.offset < from) continue;
      if (record.offset >= next || record.offset >= end) break;
      this.#positions.set(partition, record.offset + 1);
      yield new ConsumedRecord(topic, partition, record);
    }
    this.#positions.set(partition, Math.min(next, end));
    if (next >= end) this.#ends.delete(partition);
  }

  #start(): Promise<void> {
    this.#started ??= this.#begin();
    return this.#started;
  }

  async #begin(): Promise<void> {
    const { signal, follow, topic, isolationLevel, metadataMaxAgeMs } = this.#settings;
    const { topics, over } = this.#wiring;
    signal?.throwIfAborted();
    const end = onAbort(signal, () => {
      this.#inbox.abort(signal?.reason);
      this.#over.abort(signal?.reason);
    });
    onAbort(over, end);
    try {
      const partitions = this.#settings.partitions ?? (await this.#allPartitions());
      const starts = await this.#startsOf(partitions);
      if (!follow) {
        const ends = await topics.offsets(topic, { partitions, isolationLevel, signal: over });
        for (const { partition, offset } of ends) {
          if (offset > (starts.get(partition) ?? 0)) this.#ends.set(partition, offset);
        }
      }
      this.#connect(starts);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
    if (this.#settings.partitions === undefined && follow) {
      this.#lookForMoreTimer = setInterval(() => void this.#lookForMore(), metadataMaxAgeMs);
    }
  }

  #connect(starts: ReadonlyMap<number, number>): void {
    const { maxDirectConnections, follow } = this.#settings;
    for (const [partition, offset] of starts) this.#positions.set(partition, offset);
    const wanted = [...starts].filter(([partition]) => follow || this.#ends.has(partition));
    const isDirect = wanted.length <= maxDirectConnections;
    const perLink = isDirect ? 1 : PARTITIONS_PER_LINK_MAX;
    for (let at = 0; at < wanted.length; at += perLink) {
      const link = new Link(new Map(wanted.slice(at, at + perLink)), isDirect, this.#wiring, (from, frame) =>
        this.#inbox.put({ link: from, frame }),
      );
      link.run().catch((error) => this.#inbox.fail(error));
    }
  }

  async #allPartitions(): Promise<number[]> {
    const { topic } = this.#settings;
    const { partitions } = await this.#wiring.topics.describe(topic, { signal: this.#over });
    return Array.from({ length: partitions }, (_, partition) => partition);
  }

  async #startsOf(partitions: readonly number[]): Promise<Map<number, number>> {
    const { from } = this.#settings;
    if (typeof from === "string") return this.#offsetsAt(partitions, from);
    if (typeof from === "number") return new Map([[onlyOne(partitions), from]]);
    if ("timestamp" in from) {
      // In this order, a record that comes in between is not missed.
      const ends = await this.#offsetsAt(partitions, "latest");
      const found = await this.#offsetsAt(partitions, from.timestamp);
      return new Map(
        [...found].map(([partition, offset]) => [
          partition,
          offset < 0 ? (ends.get(partition) ?? 0) : offset,
        ]),
      );
    }
    const given = new Map(offsetEntries(from.offsets));
    const others = partitions.filter((partition) => !given.has(partition));
    const earliest = await this.#offsetsAt(others, "earliest");
    return new Map(partitions.map((each) => [each, given.get(each) ?? earliest.get(each) ?? 0]));
  }

  async #offsetsAt(
    partitions: readonly number[],
    timestamp: "earliest" | "latest" | number,
  ): Promise<Map<number, number>> {
    const { topics, over: signal } = this.#wiring;
    const { topic, isolationLevel } = this.#settings;
    const offsets = await topics.offsets(topic, { partitions, timestamp, isolationLevel, signal });
    return new Map(offsets.map(({ partition, offset }) => [partition, offset]));
  }

  /** Partitions that were added are read from their first record on. */
  async #lookForMore(): Promise<void> {
    try {
      const added = (await this.#allPartitions()).filter((partition) => !this.#positions.has(partition));
      if (added.length > 0) this.#connect(await this.#offsetsAt(added, "earliest"));
    } catch {
      // The links find out what is wrong; the next look comes in any case.
    }
  }

  #end(): void {
    clearInterval(this.#lookForMoreTimer);
    this.#inbox.end();
    this.#over.abort(new EdgelogError("NETWORK_EXCEPTION", "the subscription is over"));
  }
}

function onlyOne(partitions: readonly number[]): number {
  const [only, ...others] = partitions;
  if (only !== undefined && others.length === 0) return only;
  throw new EdgelogError(
    "INVALID_CONFIG",
    `from is one offset, but there are ${partitions.length} partitions: name one in partitions, or give an offset for each with { offsets }`,
  );
}
