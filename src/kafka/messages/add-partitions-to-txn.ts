import { api, array, bool, int16, int32, int64, string, type Versions } from "../schema.ts";

const topics = (versions: Versions) => array({ name: string(), partitions: array(int32()) }, versions);

const results = (versions: Versions) =>
  array(
    {
      name: string(),
      resultsByPartition: array({ partitionIndex: int32(), partitionErrorCode: int16() }),
    },
    versions,
  );

/** Makes partitions part of a producer's transaction (KIP-98); from version 4 on of several transactions (KIP-890). */
export const addPartitionsToTxnApi = api({
  key: 24,
  name: "AddPartitionsToTxn",
  versions: "0-5",
  flexible: 3,
  request: {
    transactions: array(
      {
        transactionalId: string(),
        producerId: int64(),
        producerEpoch: int16(),
        verifyOnly: bool().or(false),
        topics: topics("4+"),
      },
      "4+",
    ),
    v3AndBelowTransactionalId: string("0-3"),
    v3AndBelowProducerId: int64("0-3"),
    v3AndBelowProducerEpoch: int16("0-3"),
    v3AndBelowTopics: topics("0-3"),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16("4+").or(0).ignorable(),
    resultsByTransaction: array({ transactionalId: string(), topicResults: results("4+") }, "4+"),
    resultsByTopicV3AndBelow: results("0-3"),
  },
});
