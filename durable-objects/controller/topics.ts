import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { newTopicId, type TopicId, topicNameProblem } from "../../src/model/ids.ts";
import {
  CONFIGS_PER_TOPIC_MAX,
  PARTITIONS_PER_TOPIC_MAX,
  TOPICS_MAX,
  TOPICS_PER_LIST_MAX,
  TOPICS_PER_LOOK_UP_MAX,
} from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";
import { topicConfigDefinition } from "../../src/model/topic-config-table.ts";
import {
  type TopicConfigOverrides,
  topicConfigProblem,
  topicConfigsProblem,
} from "../../src/model/topic-configs.ts";
import { type Clock, integer, type SqlRow, text } from "../partition/storage.ts";
import type { ConfigChanges, CreateTopicRequest, ListTopicsRequest } from "./rpc.ts";
import type { ControllerStorage } from "./storage.ts";

/** The id of a topic that was only checked, as in Kafka: the Uuid of zeros. */
const ZERO_TOPIC_ID: TopicId = "A".repeat(22);
const FIRST_VERSION = 1;
/** Kafka's replication factors are int16. */
const INT16_MAX = 0x7fff;

/** The topics that exist. SQLite is the only memory; a topic is one row however many partitions it has. */
export class Topics {
  readonly #storage: ControllerStorage;
  readonly #clock: Clock;

  constructor(storage: ControllerStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  byName(name: string): Topic | Failure {
    return (
      this.#find("SELECT * FROM topics WHERE name = ?", name) ??
      failure(
        "UNKNOWN_TOPIC_OR_PARTITION",
        topicNameProblem(name) ?? `there is no topic ${JSON.stringify(name)}`,
      )
    );
  }

  byId(id: TopicId): Topic | Failure {
    return (
      this.#find("SELECT * FROM topics WHERE id = ?", id) ??
      failure("UNKNOWN_TOPIC_ID", `no topic has the id ${JSON.stringify(id.slice(0, 40))} (any more)`)
    );
  }

  /** Sorted by name. */
  list({ after = "", limit = TOPICS_PER_LIST_MAX }: ListTopicsRequest): Topic[] {
    const most = Math.max(0, Math.min(Math.floor(limit), TOPICS_PER_LIST_MAX));
    return this.#storage
      .exec("SELECT * FROM topics WHERE name > ? ORDER BY name LIMIT ?", after, most)
      .map(topicOf);
  }

  /** Those that exist. */
  named(names: readonly string[]): Topic[] {
    return names
      .slice(0, TOPICS_PER_LOOK_UP_MAX)
      .flatMap((name) => this.#find("SELECT * FROM topics WHERE name = ?", name) ?? []);
  }

  /** Those that exist. */
  existing(ids: readonly TopicId[]): TopicId[] {
    return ids
      .slice(0, TOPICS_PER_LOOK_UP_MAX)
      .filter((id) => this.#storage.exec("SELECT 1 FROM topics WHERE id = ?", id).length > 0);
  }

  /** Rises with every topic that comes, goes or grows. */
  version(): number {
    const [row] = this.#storage.exec("SELECT value FROM settings WHERE name = 'topics_version'");
    return row === undefined ? 0 : integer(row, "value");
  }

  count(): number {
    const [row = {}] = this.#storage.exec("SELECT count(*) AS topics FROM topics");
    return integer(row, "topics");
  }

  /** Of all topics together. */
  partitionCount(): number {
    const [row = {}] = this.#storage.exec("SELECT coalesce(sum(partitions), 0) AS partitions FROM topics");
    return integer(row, "partitions");
  }

  /**
   * INVALID_TOPIC_EXCEPTION for an illegal name and for one that differs from another topic's only in "." and "_",
   * TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_CONFIG, POLICY_VIOLATION when there are too many topics.
   */
  create(request: CreateTopicRequest, defaultPartitions: number): Topic | Failure {
    const { name, partitions = defaultPartitions, configs = {}, replicationFactor = 1 } = request;
    const { validateOnly = false } = request;
    const refused =
      this.#nameRefused(name) ??
      partitionsRefused(partitions) ??
      replicationFactorRefused(replicationFactor) ??
      configsRefused(configs) ??
      this.#fullRefused();
    if (refused !== undefined) return refused;
    const topic: Topic = {
      id: validateOnly ? ZERO_TOPIC_ID : newTopicId(),
      name,
      version: FIRST_VERSION,
      partitions,
      configs: trimmed(configs),
      createdAtMs: this.#clock.now(),
      replicationFactor,
      placements: {},
    };
    if (!validateOnly) this.#insert(topic);
    return topic;
  }

  /** `edgelog.jurisdiction` stays what it was at creation: the objects of another one would be other objects. */
  alterConfigs(name: string, changes: ConfigChanges, validateOnly: boolean): Topic | Failure {
    const topic = this.byName(name);
    if (isFailure(topic)) return topic;
    const configs = changedConfigs(topic.configs, changes);
    if (isFailure(configs)) return configs;
    const [before, after] = [topic.configs, configs].map((of) => of["edgelog.jurisdiction"]?.trim() ?? "");
    if (before !== after) {
      return failure(
        "INVALID_CONFIG",
        "edgelog.jurisdiction is fixed when the topic is created; create another topic",
      );
    }
    if (sameConfigs(topic.configs, configs)) return topic;
    return this.#next({ ...topic, configs }, validateOnly);
  }

  /** INVALID_PARTITIONS unless `total` is more than there are: partitions are never taken away. */
  createPartitions(name: string, total: number, validateOnly: boolean): Topic | Failure {
    const topic = this.byName(name);
    if (isFailure(topic)) return topic;
    const refused = partitionsRefused(total);
    if (refused !== undefined) return refused;
    if (total === topic.partitions) {
      return failure("INVALID_PARTITIONS", `topic ${name} already has ${total} partition(s)`);
    }
    if (total < topic.partitions) {
      return failure(
        "INVALID_PARTITIONS",
        `topic ${name} has ${topic.partitions} partition(s); ${total} would not be an increase`,
      );
    }
    if (!validateOnly) this.#raiseVersion();
    return this.#next({ ...topic, partitions: total }, validateOnly);
  }

  /** From here on nobody finds the topic, neither by name nor by id. */
  remove(topic: Topic): void {
    this.#raiseVersion();
    this.#storage.exec("DELETE FROM topics WHERE id = ?", topic.id);
  }

  #find(query: string, key: string): Topic | undefined {
    const [row] = this.#storage.exec(query, key);
    return row === undefined ? undefined : topicOf(row);
  }

  #nameRefused(name: string): Failure | undefined {
    const problem = topicNameProblem(name);
    if (problem !== undefined) return failure("INVALID_TOPIC_EXCEPTION", problem);
    const other = this.#find(
      "SELECT * FROM topics WHERE replace(name, '.', '_') = replace(?, '.', '_')",
      name,
    );
    if (other === undefined) return undefined;
    return other.name === name
      ? failure("TOPIC_ALREADY_EXISTS", `topic ${name} already exists`)
      : failure(
          "INVALID_TOPIC_EXCEPTION",
          `the topic name ${name} collides with the existing topic ${other.name}: "." and "_" count as the same`,
        );
  }

  #fullRefused(): Failure | undefined {
    if (this.count() < TOPICS_MAX) return undefined;
    return failure("POLICY_VIOLATION", `the cluster has ${TOPICS_MAX} topics already; delete one first`);
  }

  #insert(topic: Topic): void {
    this.#raiseVersion();
    this.#storage.exec(
      `INSERT INTO topics(id, name, version, partitions, replication_factor, configs, placements, created_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      topic.id,
      topic.name,
      topic.version,
      topic.partitions,
      topic.replicationFactor ?? 1,
      JSON.stringify(topic.configs),
      JSON.stringify(topic.placements),
      topic.createdAtMs,
    );
  }

  #raiseVersion(): void {
    this.#storage.exec(
      "INSERT INTO settings VALUES ('topics_version', 1) ON CONFLICT DO UPDATE SET value = value + 1",
    );
  }

  #next(changed: Topic, validateOnly: boolean): Topic {
    const topic = { ...changed, version: changed.version + 1 };
    if (validateOnly) return topic;
    this.#storage.exec(
      "UPDATE topics SET version = ?, partitions = ?, configs = ?, placements = ? WHERE id = ?",
      topic.version,
      topic.partitions,
      JSON.stringify(topic.configs),
      JSON.stringify(topic.placements),
      topic.id,
    );
    return topic;
  }
}

function partitionsRefused(partitions: number): Failure | undefined {
  if (Number.isInteger(partitions) && partitions >= 1 && partitions <= PARTITIONS_PER_TOPIC_MAX) {
    return undefined;
  }
  return failure(
    "INVALID_PARTITIONS",
    `a topic has from 1 to ${PARTITIONS_PER_TOPIC_MAX} partitions, not ${partitions}`,
  );
}

function replicationFactorRefused(replicationFactor: number): Failure | undefined {
  if (Number.isInteger(replicationFactor) && replicationFactor >= 1 && replicationFactor <= INT16_MAX) {
    return undefined;
  }
  return failure(
    "INVALID_REPLICATION_FACTOR",
    `a replication factor is from 1 to ${INT16_MAX}, not ${replicationFactor}`,
  );
}

function configsRefused(configs: TopicConfigOverrides): Failure | undefined {
  const entries = Object.entries(configs);
  if (entries.length > CONFIGS_PER_TOPIC_MAX) return tooManyConfigs(entries.length);
  for (const [name, value] of entries) {
    const problem = topicConfigProblem(name, value);
    if (problem !== undefined) return problem;
  }
  return topicConfigsProblem(configs);
}

function changedConfigs(
  configs: TopicConfigOverrides,
  changes: ConfigChanges,
): TopicConfigOverrides | Failure {
  const entries = Object.entries(changes);
  if (entries.length > CONFIGS_PER_TOPIC_MAX) return tooManyConfigs(entries.length);
  const changed = new Map(Object.entries(configs));
  for (const [name, value] of entries) {
    if (value !== null) changed.set(name, value.trim());
    else if (topicConfigDefinition(name) !== undefined) changed.delete(name);
    else return failure("INVALID_CONFIG", `there is no topic config ${JSON.stringify(name.slice(0, 100))}`);
  }
  const result = Object.fromEntries(changed);
  return configsRefused(result) ?? result;
}

/** Spaces around a value do not count, so they are not kept. */
function trimmed(configs: TopicConfigOverrides): TopicConfigOverrides {
  return Object.fromEntries(Object.entries(configs).map(([name, value]) => [name, value.trim()]));
}

function tooManyConfigs(count: number): Failure {
  return failure(
    "INVALID_CONFIG",
    `${count} configs are given; at most ${CONFIGS_PER_TOPIC_MAX} are allowed`,
  );
}

function sameConfigs(one: TopicConfigOverrides, other: TopicConfigOverrides): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function topicOf(row: SqlRow): Topic {
  return {
    id: text(row, "id"),
    name: text(row, "name"),
    version: integer(row, "version"),
    partitions: integer(row, "partitions"),
    replicationFactor: integer(row, "replication_factor"),
    configs: storedConfigs(text(row, "configs")),
    createdAtMs: integer(row, "created_at_ms"),
    placements: storedPlacements(text(row, "placements")),
  };
}

/** The configs as {@link Topics} wrote them. */
export function storedConfigs(json: string): TopicConfigOverrides {
  return storedMap(json, (value) => typeof value === "string");
}

function storedPlacements(json: string): Readonly<Record<number, number>> {
  return storedMap(json, (value) => typeof value === "number");
}

function storedMap<T>(json: string, isValue: (value: unknown) => value is T): Record<string, T> {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== "object" || parsed === null) throw new TypeError(`not a map: ${json}`);
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]: [string, unknown]) => {
      if (!isValue(value)) throw new TypeError(`the value of ${name} is of the wrong type: ${json}`);
      return [name, value];
    }),
  );
}
