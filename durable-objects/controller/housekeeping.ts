import { mapAtOnce } from "../../src/model/at-once.ts";
import { isFailure } from "../../src/model/errors.ts";
import { letOthersIn } from "../../src/model/event-loop.ts";
import type { PartitionIdentity, TopicId } from "../../src/model/ids.ts";
import {
  RETIRE_CONCURRENCY,
  WALK_BACKOFF_MS_MAX,
  WALK_BACKOFF_MS_MIN,
  WALK_CONCURRENCY,
  WALK_STEP_PARTITIONS,
} from "../../src/model/limits.ts";
import { type PartitionAddress, placedPartitionAddress } from "../../src/model/partition-address.ts";
import type { Topic } from "../../src/model/topic.ts";
import type { TopicConfigOverrides } from "../../src/model/topic-configs.ts";
import { type Clock, text } from "../partition/storage.ts";
import { BEFORE_THE_FIRST, type OpenedPartitions } from "./opened-partitions.ts";
import type { ControllerStorage } from "./storage.ts";
import { storedConfigs, type Topics } from "./topics.ts";
import { type Walk, Walks } from "./walks.ts";

/** The calls that the Controller makes to partitions. Each may fail or never have arrived; all can be repeated. */
export interface PartitionCalls {
  configure(address: PartitionAddress, topicVersion: number): Promise<void>;
  /** The partition acknowledges nothing more. */
  retire(address: PartitionAddress): Promise<void>;
  /** True when nothing is left. */
  destroy(address: PartitionAddress): Promise<boolean>;
}

/**
 * Visits the opened partitions of topics that were altered or deleted. It goes on where it was whenever the object is
 * lost: a partition leaves the list, or learns of the version, only after it has answered.
 */
export class Housekeeping {
  readonly #storage: ControllerStorage;
  readonly #clock: Clock;
  readonly #topics: Topics;
  readonly #opened: OpenedPartitions;
  readonly #partitions: PartitionCalls;
  readonly #walks: Walks;

  constructor(
    storage: ControllerStorage,
    clock: Clock,
    topics: Topics,
    opened: OpenedPartitions,
    partitions: PartitionCalls,
  ) {
    this.#storage = storage;
    this.#clock = clock;
    this.#topics = topics;
    this.#opened = opened;
    this.#partitions = partitions;
    this.#walks = new Walks(storage, clock);
  }

  /** Tells the opened partitions of the topic's configs, so that lowering retention.ms works on an idle topic too. */
  beginConfiguring(topic: Topic): void {
    if (this.#opened.any(topic.id)) this.#walks.begin(topic.id, "configure", topic.version);
  }

  /** Removes the opened partitions of a topic that nobody finds any more. */
  beginDestroying(topic: Topic): void {
    if (!this.#opened.any(topic.id)) return;
    this.#storage.exec(
      "INSERT INTO deleted_topics VALUES (?, ?, ?, ?)",
      topic.id,
      topic.name,
      JSON.stringify(topic.configs),
      this.#clock.now(),
    );
    // Whatever they know, all of them are to be visited.
    this.#walks.begin(topic.id, "destroy", Number.MAX_SAFE_INTEGER);
  }

  /** Tells the opened partitions of a topic that was just deleted, until `untilMs`. True if all have heard. */
  async retireAll(topic: Topic, untilMs: number): Promise<boolean> {
    let heard = true;
    for (let after = BEFORE_THE_FIRST; ; ) {
      const targets = this.#opened.behind(topic.id, Number.MAX_SAFE_INTEGER, after, RETIRE_CONCURRENCY);
      const last = targets.at(-1);
      if (last === undefined) return heard;
      if (this.#clock.now() >= untilMs) return false;
      await mapAtOnce(targets, RETIRE_CONCURRENCY, async (identity) => {
        const address = placedPartitionAddress(identity, topic.configs);
        await this.#partitions.retire(address).catch((error) => {
          console.warn(`could not retire ${address.name}, it will be removed all the same:`, error);
          heard = false;
        });
      });
      after = last;
    }
  }

  /** When there is something to do, in ms, or undefined if there is nothing. */
  nextAtMs(): number | undefined {
    return this.#walks.nextAtMs();
  }

  /** Does what is due, walk by walk in turn, and begins no step after `untilMs`. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      const walk = this.#walks.due();
      if (walk === undefined || this.#clock.now() >= untilMs) return;
      await this.#step(walk);
      await letOthersIn();
    }
  }

  async #step(walk: Walk): Promise<void> {
    const configs = this.#configs(walk.topicId);
    const targets = this.#opened.behind(walk.topicId, walk.topicVersion, walk.after, WALK_STEP_PARTITIONS);
    const last = targets.at(-1);
    if (configs === undefined || last === undefined) return this.#endRound(walk);
    let done = 0;
    await mapAtOnce(targets, WALK_CONCURRENCY, async (identity) => {
      if (await this.#visit(walk, identity, configs)) done += 1;
    });
    if (!this.#walks.isCurrent(walk)) return;
    const failures = done > 0 ? 0 : walk.failures + 1;
    this.#walks.proceed(walk, last, failures, backoffMs(failures));
  }

  async #visit(walk: Walk, identity: PartitionIdentity, configs: TopicConfigOverrides): Promise<boolean> {
    const address = placedPartitionAddress(identity, configs);
    try {
      if (walk.task === "configure") {
        await this.#partitions.configure(address, walk.topicVersion);
        this.#opened.learned(identity, walk.topicVersion);
        return true;
      }
      const isGone = await this.#partitions.destroy(address);
      if (isGone) this.#opened.forget(identity);
      return isGone;
    } catch (error) {
      console.warn(`could not ${walk.task} ${address.name}, will try again:`, error);
      return false;
    }
  }

  /** Every partition has had its turn: those that failed get another. */
  #endRound(walk: Walk): void {
    if (this.#opened.behind(walk.topicId, walk.topicVersion, BEFORE_THE_FIRST, 1).length > 0) {
      const failures = walk.failures + 1;
      this.#walks.proceed(walk, BEFORE_THE_FIRST, failures, backoffMs(failures));
      return;
    }
    this.#storage.transactionSync(() => {
      this.#walks.end(walk);
      this.#storage.exec("DELETE FROM deleted_topics WHERE id = ?", walk.topicId);
    });
  }

  /** What says in which jurisdiction the topic's partitions are. */
  #configs(topicId: TopicId): TopicConfigOverrides | undefined {
    const topic = this.#topics.byId(topicId);
    if (!isFailure(topic)) return topic.configs;
    const [row] = this.#storage.exec("SELECT configs FROM deleted_topics WHERE id = ?", topicId);
    return row === undefined ? undefined : storedConfigs(text(row, "configs"));
  }
}

function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(WALK_BACKOFF_MS_MIN * 2 ** (failures - 1), WALK_BACKOFF_MS_MAX);
}
