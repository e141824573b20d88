import type { Api } from "../schema.ts";
import { addOffsetsToTxnApi } from "./add-offsets-to-txn.ts";
import { addPartitionsToTxnApi } from "./add-partitions-to-txn.ts";
import { alterConfigsApi } from "./alter-configs.ts";
import { apiVersionsApi } from "./api-versions.ts";
import { consumerGroupDescribeApi } from "./consumer-group-describe.ts";
import { consumerGroupHeartbeatApi } from "./consumer-group-heartbeat.ts";
import { createPartitionsApi } from "./create-partitions.ts";
import { createTopicsApi } from "./create-topics.ts";
import { deleteGroupsApi } from "./delete-groups.ts";
import { deleteRecordsApi } from "./delete-records.ts";
import { deleteTopicsApi } from "./delete-topics.ts";
import { describeClusterApi } from "./describe-cluster.ts";
import { describeConfigsApi } from "./describe-configs.ts";
import { describeGroupsApi } from "./describe-groups.ts";
import { describeLogDirsApi } from "./describe-log-dirs.ts";
import { describeProducersApi } from "./describe-producers.ts";
import { describeTopicPartitionsApi } from "./describe-topic-partitions.ts";
import { describeTransactionsApi } from "./describe-transactions.ts";
import { endTxnApi } from "./end-txn.ts";
import { fetchApi } from "./fetch.ts";
import { findCoordinatorApi } from "./find-coordinator.ts";
import { heartbeatApi } from "./heartbeat.ts";
import { incrementalAlterConfigsApi } from "./incremental-alter-configs.ts";
import { initProducerIdApi } from "./init-producer-id.ts";
import { joinGroupApi } from "./join-group.ts";
import { leaveGroupApi } from "./leave-group.ts";
import { listGroupsApi } from "./list-groups.ts";
import { listOffsetsApi } from "./list-offsets.ts";
import { listPartitionReassignmentsApi } from "./list-partition-reassignments.ts";
import { listTransactionsApi } from "./list-transactions.ts";
import { metadataApi } from "./metadata.ts";
import { offsetCommitApi } from "./offset-commit.ts";
import { offsetDeleteApi } from "./offset-delete.ts";
import { offsetFetchApi } from "./offset-fetch.ts";
import { offsetForLeaderEpochApi } from "./offset-for-leader-epoch.ts";
import { produceApi } from "./produce.ts";
import { saslAuthenticateApi } from "./sasl-authenticate.ts";
import { saslHandshakeApi } from "./sasl-handshake.ts";
import { syncGroupApi } from "./sync-group.ts";
import { txnOffsetCommitApi } from "./txn-offset-commit.ts";

/** Every API whose messages can be read and written, by its key. What a broker offers of them is the handlers' to say. */
export const APIS: ReadonlyMap<number, Api> = new Map(
  [
    addOffsetsToTxnApi,
    addPartitionsToTxnApi,
    alterConfigsApi,
    apiVersionsApi,
    consumerGroupDescribeApi,
    consumerGroupHeartbeatApi,
    createPartitionsApi,
    createTopicsApi,
    deleteGroupsApi,
    deleteRecordsApi,
    deleteTopicsApi,
    describeClusterApi,
    describeConfigsApi,
    describeGroupsApi,
    describeLogDirsApi,
    describeProducersApi,
    describeTopicPartitionsApi,
    describeTransactionsApi,
    endTxnApi,
    fetchApi,
    findCoordinatorApi,
    heartbeatApi,
    incrementalAlterConfigsApi,
    initProducerIdApi,
    joinGroupApi,
    leaveGroupApi,
    listGroupsApi,
    listOffsetsApi,
    listPartitionReassignmentsApi,
    listTransactionsApi,
    metadataApi,
    offsetCommitApi,
    offsetDeleteApi,
    offsetFetchApi,
    offsetForLeaderEpochApi,
    produceApi,
    saslAuthenticateApi,
    saslHandshakeApi,
    syncGroupApi,
    txnOffsetCommitApi,
  ].map((api: Api) => [api.key, api]),
);
