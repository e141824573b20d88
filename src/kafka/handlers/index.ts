import type { Handler } from "../handler.ts";
import type { Api } from "../schema.ts";
import { addOffsetsToTxn } from "./add-offsets-to-txn.ts";
import { addPartitionsToTxn } from "./add-partitions-to-txn.ts";
import { alterConfigs } from "./alter-configs.ts";
import { apiVersionsHandler } from "./api-versions.ts";
import { consumerGroupDescribe } from "./consumer-group-describe.ts";
import { consumerGroupHeartbeat } from "./consumer-group-heartbeat.ts";
import { createPartitions } from "./create-partitions.ts";
import { createTopics } from "./create-topics.ts";
import { deleteGroups } from "./delete-groups.ts";
import { deleteRecords } from "./delete-records.ts";
import { deleteTopics } from "./delete-topics.ts";
import { describeCluster } from "./describe-cluster.ts";
import { describeConfigs } from "./describe-configs.ts";
import { describeGroups } from "./describe-groups.ts";
import { describeLogDirs } from "./describe-log-dirs.ts";
import { describeProducers } from "./describe-producers.ts";
import { describeTopicPartitions } from "./describe-topic-partitions.ts";
import { describeTransactions } from "./describe-transactions.ts";
import { endTxn } from "./end-txn.ts";
import { fetch } from "./fetch.ts";
import { findCoordinator } from "./find-coordinator.ts";
import { heartbeat } from "./heartbeat.ts";
import { incrementalAlterConfigs } from "./incremental-alter-configs.ts";
import { initProducerId } from "./init-producer-id.ts";
import { joinGroup } from "./join-group.ts";
import { leaveGroup } from "./leave-group.ts";
import { listGroups } from "./list-groups.ts";
import { listOffsets } from "./list-offsets.ts";
import { listPartitionReassignments } from "./list-partition-reassignments.ts";
import { listTransactions } from "./list-transactions.ts";
import { metadata } from "./metadata.ts";
import { offsetCommit } from "./offset-commit.ts";
import { offsetDelete } from "./offset-delete.ts";
import { offsetFetch } from "./offset-fetch.ts";
import { offsetForLeaderEpoch } from "./offset-for-leader-epoch.ts";
import { produce } from "./produce.ts";
import { saslAuthenticate } from "./sasl-authenticate.ts";
import { saslHandshake } from "./sasl-handshake.ts";
import { syncGroup } from "./sync-group.ts";
import { txnOffsetCommit } from "./txn-offset-commit.ts";

const apiVersions = apiVersionsHandler(() => offeredApis());

const HANDLERS: ReadonlyMap<number, Handler> = new Map(
  [
    apiVersions,
    metadata,
    produce,
    fetch,
    listOffsets,
    initProducerId,
    createTopics,
    deleteTopics,
    createPartitions,
    deleteRecords,
    describeConfigs,
    alterConfigs,
    incrementalAlterConfigs,
    describeCluster,
    offsetForLeaderEpoch,
    describeLogDirs,
    describeTopicPartitions,
    describeProducers,
    listPartitionReassignments,
    findCoordinator,
    joinGroup,
    syncGroup,
    heartbeat,
    leaveGroup,
    offsetCommit,
    txnOffsetCommit,
    offsetFetch,
    offsetDelete,
    describeGroups,
    listGroups,
    deleteGroups,
    consumerGroupHeartbeat,
    consumerGroupDescribe,
    addPartitionsToTxn,
    addOffsetsToTxn,
    endTxn,
    describeTransactions,
    listTransactions,
    saslHandshake,
    saslAuthenticate,
  ]
    .sort((a, b) => a.api.key - b.api.key)
    .map((handler) => [handler.api.key, handler]),
);

/** Before a client has authenticated, these are all it may ask for (Kafka's `SaslServerAuthenticator`). */
const UNAUTHENTICATED: ReadonlySet<number> = new Set(
  [apiVersions, saslHandshake, saslAuthenticate].map(({ api }) => api.key),
);

export function handlerOf(apiKey: number): Handler | undefined {
  return HANDLERS.get(apiKey);
}

export function isAllowedUnauthenticated(apiKey: number): boolean {
  return UNAUTHENTICATED.has(apiKey);
}

/** What is answered, and so all that clients are told of, by key. */
export function offeredApis(): readonly Api[] {
  return [...HANDLERS.values()].map(({ api }) => api);
}
