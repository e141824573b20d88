/** What the Controller can be asked. Everything here crosses an RPC: plain values, refusals as {@link Failure} values. */

import type { Failure } from "../../src/model/errors.ts";
import type { PartitionIdentity, TopicId } from "../../src/model/ids.ts";
import type { Topic } from "../../src/model/topic.ts";

/** There is one Controller in a cluster, and this is its name. */
export const CONTROLLER_NAME = "controller";

export interface CreateTopicRequest {
  readonly name: string;
  /** Absent: the cluster's default. */
  readonly partitions?: number;
  /** Only told again; absent: 1. */
  readonly replicationFactor?: number;
  readonly configs?: Readonly<Record<string, string>>;
  /** Check only, create nothing. */
  readonly validateOnly?: boolean;
}

/** null: back to the default. */
export type ConfigChanges = Readonly<Record<string, string | null>>;

export interface ListTopicsRequest {
  /** Names that sort after this one. */
  readonly after?: string;
  readonly limit?: number;
}

/** Of groups, or of transactional ids. */
export interface ListNamesRequest {
  /** Ids that sort after this one. */
  readonly after?: string;
  readonly limit?: number;
}

export interface ProducerIdBlock {
  readonly first: number;
  readonly count: number;
}

export interface ClusterDescription {
  /** Kafka's cluster id: a Uuid as 22 characters of base64url. */
  readonly clusterId: string;
  readonly topics: number;
  /** Of all topics together. */
  readonly partitions: number;
  readonly groups: number;
}

/** What a browser shows instead of a header that it cannot set. */
export interface IssuedTicket {
  /** 43 characters of base64url. */
  readonly ticket: string;
  readonly expiresAtMs: number;
}

/** The RPC methods of the Durable Object class `Controller`. */
export interface ControllerRpc {
  describeCluster(): Promise<ClusterDescription>;
  createTopic(request: CreateTopicRequest): Promise<Topic | Failure>;
  topic(name: string): Promise<Topic | Failure>;
  topicById(id: TopicId): Promise<Topic | Failure>;
  /** Sorted by name. */
  listTopics(request: ListTopicsRequest): Promise<Topic[]>;
  alterTopicConfigs(name: string, changes: ConfigChanges, validateOnly?: boolean): Promise<Topic | Failure>;
  /** `total` is the new number of partitions. */
  createPartitions(name: string, total: number, validateOnly?: boolean): Promise<Topic | Failure>;
  /** By its name; or by its id, so that one that was made anew under its name meanwhile is not meant. */
  deleteTopic(reference: string | Pick<Topic, "id">): Promise<Topic | Failure>;
  /** A blank partition object records itself here before its first write; UNKNOWN_TOPIC_ID: it must not come to life. */
  openPartition(identity: PartitionIdentity): Promise<Topic | Failure>;
  /** The partitions of a topic that have ever been written to, in order. */
  openedPartitions(topicId: TopicId, after: number, limit: number): Promise<number[]>;
  /** Rises whenever a topic is created or deleted or gets more partitions: who has looked need not look again before. */
  topicsVersion(): Promise<number>;
  /** Those that exist, at most TOPICS_PER_LOOK_UP_MAX at once. */
  topicsNamed(names: readonly string[]): Promise<Topic[]>;
  /** Those of these ids that exist, at most TOPICS_PER_LOOK_UP_MAX at once. */
  existingTopics(ids: readonly TopicId[]): Promise<TopicId[]>;
  allocateProducerIds(): Promise<ProducerIdBlock>;
  /** A blank group records itself here before its first write. */
  openGroup(groupId: string): Promise<void>;
  closeGroup(groupId: string): Promise<void>;
  /** Ids of groups, sorted. One that is just being made or deleted may turn out to be blank. */
  listGroups(request: ListNamesRequest): Promise<string[]>;
  /** A transactional id without a producer id records itself here, and is given some. */
  openTransactionalId(transactionalId: string): Promise<ProducerIdBlock>;
  closeTransactionalId(transactionalId: string): Promise<void>;
  /** Transactional ids, sorted. One that has just been forgotten may be among them. */
  listTransactionalIds(request: ListNamesRequest): Promise<string[]>;
  issueTicket(): Promise<IssuedTicket | Failure>;
  /** True the first time within the ticket's life, whichever isolate asks. */
  redeemTicket(ticket: string): Promise<boolean>;
}
