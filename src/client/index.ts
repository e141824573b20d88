/**
 * The TypeScript SDK of Edgelog, for browsers, Node, Deno, Bun and Workers.
 *
 * @module
 */

export type { LogRecord, RecordHeader } from "../log/record.ts";
export type { RecordInput } from "../log/record-input.ts";
export { EdgelogError, type ErrorName } from "../model/errors.ts";
export type {
  EdgelogService,
  FetchedRecords,
  FetchRecordsOptions,
  ProduceOptions,
  ServiceError,
  ServiceSubscription,
  StoredRecord,
  SubscribedRecords,
  SubscribeOptions,
} from "../rpc/service.ts";
export type { AbortSignalLike } from "./abort.ts";
export type { GroupSubscription } from "./consumer/group/group-subscription.ts";
export type {
  GroupConsumeOptions,
  OffsetToCommit,
  TopicPartition,
  TopicPattern,
} from "./consumer/group/options.ts";
export type { ConsumeFrom, ConsumeOptions } from "./consumer/options.ts";
export type { Subscription } from "./consumer/subscription.ts";
export { Edgelog, type EdgelogOptions } from "./edgelog.ts";
export { DeliveryError } from "./errors.ts";
export type {
  AssignedTopic,
  CommittedOffset,
  GroupDescription,
  GroupListing,
  GroupMember,
  GroupPartition,
  OffsetToSet,
} from "./groups/descriptions.ts";
export type { DescribeGroupOptions, Groups, ListGroupsOptions } from "./groups/groups.ts";
export type {
  OffsetReset,
  ResetOffsetsOptions,
  ResetTo,
  TopicSelection,
} from "./groups/reset-offsets.ts";
export type {
  FetchLike,
  FetchOptions,
  FetchResponse,
  WebSocketConstructor,
  WebSocketLike,
} from "./platform.ts";
export type { ProducerOptions } from "./producer/options.ts";
export type { Producer, SendOptions } from "./producer/producer.ts";
export type { ConsumedRecord, Data, ProducerRecord, RecordMetadata } from "./record.ts";
export type {
  AlterTopicOptions,
  CallOptions,
  CreateTopicOptions,
  DescribeTopicOptions,
  OffsetsOptions,
  PartitionDescription,
  PartitionOffset,
  TopicConfigs,
  TopicDescription,
  TopicDetails,
  Topics,
} from "./topics.ts";
export { webSocketOver } from "./websocket-over-fetch.ts";
