import { api, array, int16, int32, int64, records, string, struct, uuid } from "../schema.ts";

/**
 * Appends one record batch to each partition named. Topics go by id from version 13 on (KIP-516); acks 0 is not
 * answered at all. Versions 0 to 2 are advertised as Kafka does, for old librdkafka, but not spoken.
 */
export const produceApi = api({
  key: 0,
  name: "Produce",
  versions: "3-13",
  flexible: 9,
  request: {
    transactionalId: string().nullable().or(null),
    acks: int16(),
    timeoutMs: int32(),
    topicData: array({
      name: string("0-12").ignorable(),
      topicId: uuid("13+").ignorable(),
      partitionData: array({
        index: int32(),
        records: records().nullable(),
      }),
    }),
  },
  response: {
    responses: array({
      name: string("0-12"),
      topicId: uuid("13+"),
      partitionResponses: array({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64().or(-1),
        logStartOffset: int64("5+").or(-1),
        recordErrors: array(
          {
            batchIndex: int32(),
            batchIndexErrorMessage: string().nullable().or(null),
          },
          "8+",
        ).or([]),
        errorMessage: string("8+").nullable().or(null),
        currentLeader: struct(
          {
            leaderId: int32().or(-1),
            leaderEpoch: int32().or(-1),
          },
          "10+",
        ).tag(0),
      }),
    }),
    throttleTimeMs: int32().or(0),
    nodeEndpoints: array(
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string().nullable().or(null),
      },
      "10+",
    ).tag(0),
  },
});
