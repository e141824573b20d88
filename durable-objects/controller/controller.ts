import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/env.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import type { PartitionIdentity, TopicId } from "../../src/model/ids.ts";
import { inTime } from "../../src/model/in-time.ts";
import {
  METADATA_CACHE_MS,
  WALK_CALL_MS_MAX,
  WALK_RESUME_MS,
  WALK_RUN_MS_MAX,
} from "../../src/model/limits.ts";
import { JURISDICTIONS, type Jurisdiction } from "../../src/model/locations.ts";
import type { PartitionAddress } from "../../src/model/partition-address.ts";
import { placementOf, type Topic } from "../../src/model/topic.ts";
import type { Clock } from "../partition/storage.ts";
import { ClusterSettings } from "./cluster-settings.ts";
import { Housekeeping } from "./housekeeping.ts";
import { OpenedPartitions } from "./opened-partitions.ts";
import { RegisteredNames } from "./registered-names.ts";
import type {
  ClusterDescription,
  ConfigChanges,
  ControllerRpc,
  CreateTopicRequest,
  IssuedTicket,
  ListNamesRequest,
  ListTopicsRequest,
  ProducerIdBlock,
} from "./rpc.ts";
import { type ControllerStorage, createTables } from "./storage.ts";
import { Tickets } from "./tickets.ts";
import { Topics } from "./topics.ts";

/**
 * The cluster's metadata (Kafka's KRaft controller). Nothing is kept in memory: each call reads SQLite, so losing the
 * object at any point loses nothing.
 */
export class Controller extends DurableObject<Env> implements ControllerRpc {
  readonly #storage: ControllerStorage;
  readonly #clock: Clock = { now: () => Date.now() };
  readonly #settings: ClusterSettings;
  readonly #topics: Topics;
  readonly #opened: OpenedPartitions;
  readonly #groups: RegisteredNames;
  readonly #transactionalIds: RegisteredNames;
  readonly #housekeeping: Housekeeping;
  readonly #tickets: Tickets;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = {
      exec: (query, ...bindings) => ctx.storage.sql.exec(query, ...bindings).toArray(),
      transactionSync: (closure) => ctx.storage.transactionSync(closure),
    };
    createTables(this.#storage);
    this.#settings = new ClusterSettings(this.#storage);
    this.#topics = new Topics(this.#storage, this.#clock);
    this.#opened = new OpenedPartitions(this.#storage);
    this.#groups = new RegisteredNames(this.#storage, "groups", "group_id");
    this.#transactionalIds = new RegisteredNames(this.#storage, "transactional_ids", "transactional_id");
    this.#tickets = new Tickets(this.#storage, this.#clock);
    this.#housekeeping = new Housekeeping(this.#storage, this.#clock, this.#topics, this.#opened, {
      configure: (address, version) => answered(this.#partition(address).configure(version)),
      retire: (address) => answered(this.#partition(address).retire()),
      destroy: (address) => answered(this.#partition(address).destroy()),
    });
    // An alarm that the platform has given up on is set again by whatever wakes the object next.
    void ctx.blockConcurrencyWhile(async () => {
      const isSet = (await ctx.storage.getAlarm()) !== null;
      if (!isSet && this.#housekeeping.nextAtMs() !== undefined) this.#setAlarm();
    });
  }

  async describeCluster(): Promise<ClusterDescription> {
    return {
      clusterId: this.#settings.clusterId(),
      topics: this.#topics.count(),
      partitions: this.#topics.partitionCount(),
      groups: this.#groups.count(),
    };
  }

  async createTopic(request: CreateTopicRequest): Promise<Topic | Failure> {
    const jurisdiction = request.configs?.["edgelog.jurisdiction"];
    return this.#jurisdictionRefused(jurisdiction) ?? this.#topics.create(request, this.#defaultPartitions());
  }

  async topic(name: string): Promise<Topic | Failure> {
    return this.#topics.byName(name);
  }

  async topicById(id: TopicId): Promise<Topic | Failure> {
    return this.#topics.byId(id);
  }

  async listTopics(request: ListTopicsRequest): Promise<Topic[]> {
    return this.#topics.list(request);
  }

  async alterTopicConfigs(
    name: string,
    changes: ConfigChanges,
    validateOnly = false,
  ): Promise<Topic | Failure> {
    return this.#storage.transactionSync(() => {
      const topic = this.#topics.alterConfigs(name, changes, validateOnly);
      if (isFailure(topic) || validateOnly) return topic;
      this.#housekeeping.beginConfiguring(topic);
      this.#setAlarm();
      return topic;
    });
  }

  async createPartitions(name: string, total: number, validateOnly = false): Promise<Topic | Failure> {
    return this.#topics.createPartitions(name, total, validateOnly);
  }

  async deleteTopic(reference: string | Pick<Topic, "id">): Promise<Topic | Failure> {
    const topic = this.#removeTopic(reference);
    if (!isFailure(topic)) await this.#lastAppend(topic);
    return topic;
  }

  #removeTopic(reference: string | Pick<Topic, "id">): Topic | Failure {
    return this.#storage.transactionSync(() => {
      const isName = typeof reference === "string";
      const topic = isName ? this.#topics.byName(reference) : this.#topics.byId(reference.id);
      if (isFailure(topic)) return topic;
      this.#topics.remove(topic);
      this.#housekeeping.beginDestroying(topic);
      this.#setAlarm();
      return topic;
    });
  }

  /**
   * Once this returns, nothing that is appended to the deleted topic is acknowledged any more: its partitions refuse, or
   * no Worker still believes that it exists.
   */
  async #lastAppend(topic: Topic): Promise<void> {
    const heard = this.#housekeeping
      .retireAll(topic, this.#clock.now() + METADATA_CACHE_MS)
      .then((all) => (all ? undefined : new Promise<void>(() => {})));
    await inTime(heard, METADATA_CACHE_MS, () => undefined);
  }

  async openPartition(identity: PartitionIdentity): Promise<Topic | Failure> {
    const { topicId, partition, placement } = identity;
    const topic = this.#topics.byId(topicId);
    if (isFailure(topic)) return topic;
    if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitions) {
      return failure(
        "UNKNOWN_TOPIC_ID",
        `topic ${topic.name} has ${topic.partitions} partition(s), no partition ${partition}`,
      );
    }
    if (placement !== placementOf(topic, partition)) {
      return failure(
        "UNKNOWN_TOPIC_ID",
        `partition ${partition} of topic ${topic.name} is not led by placement ${placement}`,
      );
    }
    this.#opened.record(identity, topic.version);
    return topic;
  }

  async openedPartitions(topicId: TopicId, after: number, limit: number): Promise<number[]> {
    return this.#opened.list(topicId, after, limit);
  }

  async topicsVersion(): Promise<number> {
    return this.#topics.version();
  }

  async topicsNamed(names: readonly string[]): Promise<Topic[]> {
    return this.#topics.named(names);
  }

  async existingTopics(ids: readonly TopicId[]): Promise<TopicId[]> {
    return this.#topics.existing(ids);
  }

  async openGroup(groupId: string): Promise<void> {
    this.#groups.open(groupId);
  }

  async closeGroup(groupId: string): Promise<void> {
    this.#groups.close(groupId);
  }

  async listGroups(request: ListNamesRequest): Promise<string[]> {
    return this.#groups.list(request);
  }

  async openTransactionalId(transactionalId: string): Promise<ProducerIdBlock> {
    this.#transactionalIds.open(transactionalId);
    return this.#settings.allocateProducerIds();
  }

  async closeTransactionalId(transactionalId: string): Promise<void> {
    this.#transactionalIds.close(transactionalId);
  }

  async listTransactionalIds(request: ListNamesRequest): Promise<string[]> {
    return this.#transactionalIds.list(request);
  }

  async allocateProducerIds(): Promise<ProducerIdBlock> {
    return this.#settings.allocateProducerIds();
  }

  async issueTicket(): Promise<IssuedTicket | Failure> {
    return this.#tickets.issue();
  }

  async redeemTicket(ticket: string): Promise<boolean> {
    return this.#tickets.redeem(ticket);
  }

  /** Never throws: the platform gives up an alarm that has failed six times. */
  override async alarm(): Promise<void> {
    try {
      await this.ctx.storage.setAlarm(this.#clock.now() + WALK_RESUME_MS);
      await this.#housekeeping.run(this.#clock.now() + WALK_RUN_MS_MAX);
      this.#setAlarm();
    } catch (error) {
      console.error("housekeeping failed, will go on later:", error);
    }
  }

  /** Written together with what the caller has just written. */
  #setAlarm(): void {
    const atMs = this.#housekeeping.nextAtMs();
    void (atMs === undefined ? this.ctx.storage.deleteAlarm() : this.ctx.storage.setAlarm(atMs));
  }

  #partition({ name, jurisdiction, locationHint }: PartitionAddress) {
    const namespace =
      jurisdiction === undefined ? this.env.PARTITION : this.env.PARTITION.jurisdiction(jurisdiction);
    return namespace.get(namespace.idFromName(name), locationHint === undefined ? {} : { locationHint });
  }

  #defaultPartitions(): number {
    return Number(this.env.EDGELOG_NUM_PARTITIONS ?? "1");
  }

  /** A jurisdiction that cannot be kept is not promised: workerd outside Cloudflare knows none. */
  #jurisdictionRefused(value: string | undefined): Failure | undefined {
    const jurisdiction: Jurisdiction | undefined = JURISDICTIONS.find((known) => known === value?.trim());
    if (jurisdiction === undefined) return undefined;
    try {
      this.env.PARTITION.jurisdiction(jurisdiction);
      return undefined;
    } catch {
      return failure(
        "INVALID_CONFIG",
        `edgelog.jurisdiction: this platform cannot keep objects in ${JSON.stringify(jurisdiction)}`,
      );
    }
  }
}

function answered<T>(call: Promise<T>): Promise<T> {
  return inTime(call, WALK_CALL_MS_MAX, () => {
    throw new Error(`no answer within ${WALK_CALL_MS_MAX} ms`);
  });
}
