import { api, array, int8, int16, int32, int64, LONG_MAX, records, string, struct, uuid } from "../schema.ts";

/**
 * Reads record batches, waiting up to maxWaitMs until minBytes of them are there. From version 7 on within a session
 * (KIP-227), by topic id from 13 on (KIP-516), with diverging epochs from 12 on (KIP-595).
 */
export const fetchApi = api({
  key: 1,
  name: "Fetch",
  versions: "4-18",
  flexible: 12,
  request: {
    clusterId: string("12+").nullable().or(null).tag(0).ignorable(),
    replicaId: int32("0-14").or(-1),
    replicaState: struct(
      {
        replicaId: int32().or(-1),
        replicaEpoch: int64().or(-1),
      },
      "15+",
    ).tag(1),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32().or(0x7fff_ffff),
    isolationLevel: int8().or(0),
    sessionId: int32("7+").or(0).ignorable(),
    sessionEpoch: int32("7+").or(-1).ignorable(),
    topics: array({
      topic: string("0-12").ignorable(),
      topicId: uuid("13+").ignorable(),
      partitions: array({
        partition: int32(),
        currentLeaderEpoch: int32("9+").or(-1).ignorable(),
        fetchOffset: int64(),
        lastFetchedEpoch: int32("12+").or(-1),
        logStartOffset: int64("5+").or(-1).ignorable(),
        partitionMaxBytes: int32(),
        replicaDirectoryId: uuid("17+").tag(0).ignorable(),
        highWatermark: int64("18+").or(LONG_MAX).tag(1).ignorable(),
      }),
    }),
    forgottenTopicsData: array(
      {
        topic: string("7-12").ignorable(),
        topicId: uuid("13+").ignorable(),
        partitions: array(int32()),
      },
      "7+",
    ).or([]),
    rackId: string("11+").or("").ignorable(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16("7+").or(0),
    sessionId: int32("7+").or(0),
    responses: array({
      topic: string("0-12"),
      topicId: uuid("13+"),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64().or(-1),
        logStartOffset: int64("5+").or(-1),
        divergingEpoch: struct(
          {
            epoch: int32().or(-1),
            endOffset: int64().or(-1),
          },
          "12+",
        ).tag(0),
        currentLeader: struct(
          {
            leaderId: int32().or(-1),
            leaderEpoch: int32().or(-1),
          },
          "12+",
        ).tag(1),
        snapshotId: struct(
          {
            endOffset: int64().or(-1),
            epoch: int32().or(-1),
          },
          "12+",
        ).tag(2),
        abortedTransactions: array({
          producerId: int64(),
          firstOffset: int64(),
        })
          .nullable()
          .or(null),
        preferredReadReplica: int32("11+").or(-1),
        records: records().nullable(),
      }),
    }),
    nodeEndpoints: array(
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string().nullable().or(null),
      },
      "16+",
    ).tag(0),
  },
});
