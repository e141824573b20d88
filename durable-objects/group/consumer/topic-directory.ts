import type { TopicId } from "../../../src/model/ids.ts";
import {
  GROUP_TOPICS_REFRESH_MS,
  TOPICS_PER_LIST_MAX,
  TOPICS_PER_LOOK_UP_MAX,
} from "../../../src/model/limits.ts";
import type { NamePattern } from "../../../src/model/name-pattern.ts";
import type { Topic } from "../../../src/model/topic.ts";
import type { Clock } from "../../partition/storage.ts";

/** What the Controller is asked. */
export interface TopicLookUp {
  /** Rises whenever a topic comes, goes or grows. */
  topicsVersion(): Promise<number>;
  /** Those that exist, of at most TOPICS_PER_LOOK_UP_MAX. */
  topicsNamed(names: readonly string[]): Promise<Topic[]>;
  listTopics(request: { after: string }): Promise<Topic[]>;
}

export interface KnownTopic {
  readonly topicId: TopicId;
  readonly name: string;
  readonly partitions: number;
}

/** What topics there are that the group's members are subscribed to, as of a moment that is at most a few seconds ago. */
export interface TopicSnapshot {
  readonly version: number;
  find(name: string): KnownTopic | undefined;
  matching(regex: string): readonly string[];
  /** Whether it was looked for what this matches. */
  covers(regex: string): boolean;
}

export interface Subscriptions {
  readonly names: ReadonlySet<string>;
  readonly patterns: ReadonlyMap<string, NamePattern>;
}

/**
 * Asks the Controller what has become of the topics that the group is subscribed to: every GROUP_TOPICS_REFRESH_MS whether
 * anything has changed at all, which costs it one row, and only then for the topics. Memory only.
 */
export class TopicDirectory {
  readonly #lookUp: TopicLookUp;
  readonly #clock: Clock;
  #version = -1;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  /** Looked up at this version: what is not in `#topics` does not exist. */
  #names = new Set<string>();
  #matches = new Map<string, string[]>();
  #topics = new Map<string, KnownTopic>();
  /** Known to be covered, so that it need not be compared again. */
  #covered: Subscriptions | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(lookUp: TopicLookUp, clock: Clock) {
    this.#lookUp = lookUp;
    this.#clock = clock;
  }

  /** What is known of all of these, in this turn; undefined: {@link refresh} first. `isStale`: however old it is. */
  peek(subscriptions: Subscriptions, isStale = false): TopicSnapshot | undefined {
    if ((!isStale && !this.#isFresh()) || !this.#covers(subscriptions)) return undefined;
    const [topics, matches] = [this.#topics, this.#matches];
    return {
      version: this.#version,
      find: (name) => topics.get(name),
      matching: (regex) => matches.get(regex) ?? [],
      covers: (regex) => matches.has(regex),
    };
  }

  /** Peek again after it: others may have been faster. Rejects if the Controller cannot be reached. */
  async refresh(subscriptions: Subscriptions): Promise<void> {
    this.#refreshing ??= this.#lookAgain(subscriptions).finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  #isFresh(): boolean {
    const ageMs = this.#clock.now() - this.#checkedAtMs;
    return ageMs >= 0 && ageMs < GROUP_TOPICS_REFRESH_MS;
  }

  #covers(subscriptions: Subscriptions): boolean {
    if (subscriptions === this.#covered) return true;
    const { names, patterns } = subscriptions;
    const isCovered =
      [...names].every((name) => this.#names.has(name)) &&
      [...patterns.keys()].every((regex) => this.#matches.has(regex));
    if (isCovered) this.#covered = subscriptions;
    return isCovered;
  }

  async #lookAgain(subscriptions: Subscriptions): Promise<void> {
    const checkedAtMs = this.#clock.now();
    // First the version: what changes while we look makes us look again.
    const version = await this.#lookUp.topicsVersion();
    if (version !== this.#version || !this.#covers(subscriptions)) {
      const topics = new Map<string, KnownTopic>();
      const matches = await this.#match(subscriptions.patterns, topics);
      await this.#find(subscriptions.names, topics);
      this.#topics = topics;
      this.#matches = matches;
      this.#names = new Set(subscriptions.names);
      this.#version = version;
      this.#covered = undefined;
    }
    this.#checkedAtMs = checkedAtMs;
  }

  async #find(names: ReadonlySet<string>, into: Map<string, KnownTopic>): Promise<void> {
    const asked = [...names];
    for (let from = 0; from < asked.length; from += TOPICS_PER_LOOK_UP_MAX) {
      const found = await this.#lookUp.topicsNamed(asked.slice(from, from + TOPICS_PER_LOOK_UP_MAX));
      for (const topic of found) into.set(topic.name, knownTopic(topic));
    }
  }

  async #match(
    patterns: ReadonlyMap<string, NamePattern>,
    into: Map<string, KnownTopic>,
  ): Promise<Map<string, string[]>> {
    const matches = new Map<string, string[]>([...patterns.keys()].map((regex) => [regex, []]));
    for (let after = ""; patterns.size > 0; ) {
      const page = await this.#lookUp.listTopics({ after });
      for (const topic of page) {
        for (const [regex, pattern] of patterns) {
          if (!pattern.matches(topic.name)) continue;
          matches.get(regex)?.push(topic.name);
          into.set(topic.name, knownTopic(topic));
        }
      }
      after = page.at(-1)?.name ?? "";
      if (page.length < TOPICS_PER_LIST_MAX) break;
    }
    return matches;
  }
}

function knownTopic({ id, name, partitions }: Topic): KnownTopic {
  return { topicId: id, name, partitions };
}
