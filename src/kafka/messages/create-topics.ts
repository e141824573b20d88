import { api, array, bool, int8, int16, int32, string, uuid } from "../schema.ts";

/**
 * Creates topics; -1 partitions or replicas: the cluster's default (version 4, KIP-464). Configs are told from
 * version 5 on.
 */
export const createTopicsApi = api({
  key: 19,
  name: "CreateTopics",
  versions: "2-7",
  flexible: 5,
  request: {
    topics: array({
      name: string(),
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: array({
        partitionIndex: int32(),
        brokerIds: array(int32()),
      }),
      configs: array({
        name: string(),
        value: string().nullable(),
      }),
    }),
    timeoutMs: int32().or(60_000),
    validateOnly: bool().or(false),
  },
  response: {
    throttleTimeMs: int32().or(0),
    topics: array({
      name: string(),
      topicId: uuid("7+"),
      errorCode: int16(),
      errorMessage: string().nullable(),
      topicConfigErrorCode: int16("5+").tag(0),
      numPartitions: int32("5+").or(-1),
      replicationFactor: int16("5+").or(-1),
      configs: array(
        {
          name: string(),
          value: string().nullable(),
          readOnly: bool(),
          configSource: int8().or(-1),
          isSensitive: bool(),
        },
        "5+",
      )
        .nullable()
        .or(null),
    }),
  },
});
