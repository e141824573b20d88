import { api, array, bool, int16, int32, string, uuid } from "../schema.ts";
import { OPERATIONS_NOT_ASKED } from "./authorized-operations.ts";

/**
 * The brokers, and the topics with their partitions and leaders. All topics: an empty array in version 0, null from 1
 * on. Topics may be asked for by id from version 10 on (with a null name from 12 on).
 */
export const metadataApi = api({
  key: 3,
  name: "Metadata",
  versions: "0-13",
  flexible: 9,
  request: {
    topics: array({
      topicId: uuid("10+").ignorable(),
      name: string().nullable("10+"),
    }).nullable("1+"),
    allowAutoTopicCreation: bool("4+").or(true),
    includeClusterAuthorizedOperations: bool("8-10").or(false),
    includeTopicAuthorizedOperations: bool("8+").or(false),
  },
  response: {
    throttleTimeMs: int32("3+").or(0),
    brokers: array({
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string("1+").nullable().or(null),
    }),
    clusterId: string("2+").nullable().or(null),
    controllerId: int32("1+").or(-1),
    topics: array({
      errorCode: int16(),
      name: string().nullable("12+"),
      topicId: uuid("10+"),
      isInternal: bool("1+").or(false),
      partitions: array({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32("7+").or(-1),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        offlineReplicas: array(int32(), "5+").or([]),
      }),
      topicAuthorizedOperations: int32("8+").or(OPERATIONS_NOT_ASKED),
    }),
    clusterAuthorizedOperations: int32("8-10").or(OPERATIONS_NOT_ASKED),
    errorCode: int16("13+").or(0),
  },
});
