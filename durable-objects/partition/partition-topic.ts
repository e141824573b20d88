/** What a partition knows of its topic: it comes to life with the Controller's leave, learns of changes and dies with it. */

import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { type PartitionIdentity, partitionObjectName, type TopicId } from "../../src/model/ids.ts";
import type { Topic } from "../../src/model/topic.ts";
import { type TopicConfigs, topicConfigs } from "../../src/model/topic-configs.ts";
import type { LogStore } from "./log-store.ts";

const TOPIC = "topic";
/** Set when the topic is deleted; it goes with all else, but that may take more than one try. */
const IS_GONE = "is_gone";
/** The object's own name, for a platform event that does not tell it. */
export const IDENTITY = "identity";

/** The Controller, as a partition asks it. */
export interface TopicSource {
  /** UNKNOWN_TOPIC_ID: this partition must not come to life. */
  openPartition(identity: PartitionIdentity): Promise<Topic | Failure>;
  topicById(topicId: TopicId): Promise<Topic | Failure>;
}

export class PartitionTopic {
  readonly #identity: PartitionIdentity;
  readonly #store: LogStore;
  readonly #source: TopicSource;
  #topic: Topic | undefined;
  #configs: TopicConfigs = topicConfigs({});
  #opening: Promise<Failure | undefined> | undefined;
  #refreshing: { readonly version: number; readonly done: Promise<void> } | undefined;
  #isGone = false;

  constructor(identity: PartitionIdentity, store: LogStore, source: TopicSource) {
    this.#identity = identity;
    this.#store = store;
    this.#source = source;
  }

  /** False until the first append, and again when the topic is deleted. */
  get isOpen(): boolean {
    return this.#topic !== undefined;
  }

  get configs(): TopicConfigs {
    return this.#configs;
  }

  /** There is a newer version than the one known; false of a partition that is not open, which knows none. */
  isBehind(version: number): boolean {
    return this.#topic !== undefined && this.#topic.version < version;
  }

  /** The topic is deleted: for good, because its id is never used again. */
  get isGone(): boolean {
    return this.#isGone;
  }

  goneProblem(): Failure | undefined {
    return this.#isGone ? failure("UNKNOWN_TOPIC_ID", "the topic has been deleted") : undefined;
  }

  /** Also for those who come after this object: until its storage is removed it could come back to life. */
  retire(): void {
    if (this.isOpen && !this.#isGone) this.#store.setSetting(IS_GONE, "true");
    this.#isGone = true;
  }

  /** Reads back what it knew. */
  recover(): void {
    const stored = this.#store.setting(TOPIC);
    if (stored === undefined) throw new Error("the log has tables but no topic");
    this.#topic = parseTopic(stored);
    this.#configs = topicConfigs(this.#topic.configs);
    this.#isGone = this.#store.setting(IS_GONE) !== undefined;
  }

  /**
   * Registers a blank partition with the Controller; `begin` makes the log, in a transaction that also keeps what has been
   * learned by calling its argument. UNKNOWN_TOPIC_ID: the topic is gone.
   */
  async open(begin: (keep: () => void) => void): Promise<Failure | undefined> {
    if (this.isOpen) return undefined;
    this.#opening ??= this.#openOnce(begin).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openOnce(begin: (keep: () => void) => void): Promise<Failure | undefined> {
    const topic = await this.#source.openPartition(this.#identity);
    if (isFailure(topic)) return topic;
    // The topic may have been deleted while the Controller's answer was on its way.
    const gone = this.goneProblem();
    if (gone !== undefined) return gone;
    begin(() => {
      this.#store.setSetting(IDENTITY, partitionObjectName(this.#identity));
      this.#learn(topic);
    });
    return undefined;
  }

  /** The topic has changed: asks the Controller what it is now, unless this version is known. True if it asked. */
  async refresh(version: number): Promise<boolean> {
    // A partition that is just being opened may have been answered before the change.
    await this.#opening?.catch(() => undefined);
    if (!this.isBehind(version)) return false;
    if (this.#refreshing === undefined || this.#refreshing.version < version) {
      const done = this.#ask().finally(() => this.#refreshed(version));
      this.#refreshing = { version, done };
    }
    await this.#refreshing.done;
    return true;
  }

  async #ask(): Promise<void> {
    const topic = await this.#source.topicById(this.#identity.topicId);
    if (!isFailure(topic)) this.#learn(topic);
    else if (topic.error === "UNKNOWN_TOPIC_ID") this.retire();
  }

  #refreshed(version: number): void {
    if (this.#refreshing?.version === version) this.#refreshing = undefined;
  }

  #learn(topic: Topic): void {
    if (this.#topic !== undefined && topic.version <= this.#topic.version) return;
    this.#topic = topic;
    this.#configs = topicConfigs(topic.configs);
    this.#store.setSetting(TOPIC, JSON.stringify(topic));
  }
}

/** As this class stored it. */
function parseTopic(json: string): Topic {
  return JSON.parse(json);
}
