import type { TopicId } from "../model/ids.ts";
import { METADATA_CACHE_MS, METADATA_CACHE_TOPICS_MAX } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";

/** What is known of topics, each for METADATA_CACHE_MS. Only what exists: that a topic does not exist is always asked. */
export class TopicCache {
  readonly #now: () => number;
  /** In the order in which they were learned. */
  readonly #byId = new Map<TopicId, { readonly topic: Topic; readonly untilMs: number }>();
  readonly #idOfName = new Map<string, TopicId>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  byName(name: string): Topic | undefined {
    const id = this.#idOfName.get(name);
    return id === undefined ? undefined : this.byId(id);
  }

  byId(id: TopicId): Topic | undefined {
    const entry = this.#byId.get(id);
    return entry !== undefined && this.#now() < entry.untilMs ? entry.topic : undefined;
  }

  /**
   * Answers may overtake one another: an older version never replaces a newer one. `asOfMs`, when it was asked for, is
   * when it was true at the latest: whoever deletes a topic counts on it being believed no longer than METADATA_CACHE_MS.
   */
  learn(topic: Topic, asOfMs: number = this.#now()): void {
    const known = this.byId(topic.id);
    if (known !== undefined && known.version > topic.version) return;
    const before = this.byName(topic.name);
    if (before !== undefined) this.forget(before.id);
    this.forget(topic.id);
    this.#byId.set(topic.id, { topic, untilMs: asOfMs + METADATA_CACHE_MS });
    this.#idOfName.set(topic.name, topic.id);
    if (this.#byId.size <= METADATA_CACHE_TOPICS_MAX) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.forget(oldest);
  }

  forget(id: TopicId): void {
    const name = this.#byId.get(id)?.topic.name;
    this.#byId.delete(id);
    if (name !== undefined && this.#idOfName.get(name) === id) this.#idOfName.delete(name);
  }
}
