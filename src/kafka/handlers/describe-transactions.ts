import type { PartitionsOfTopic } from "../../../durable-objects/transaction/rpc.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { errorCodeOf } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { describeTransactionsApi } from "../messages/describe-transactions.ts";

const UNKNOWN = {
  transactionState: "",
  transactionTimeoutMs: 0,
  transactionStartTimeMs: -1,
  producerId: -1,
  producerEpoch: -1,
  topics: [],
};

export const describeTransactions = handler(
  describeTransactionsApi,
  async ({ transactionalIds }, { session: { cluster } }) => {
    const transactionStates = await mapAtOnce(
      transactionalIds,
      KAFKA_PARTITIONS_AT_ONCE,
      async (transactionalId) => {
        const described = await cluster.transaction(transactionalId).describe();
        const errorCode = errorCodeOf(described);
        if (isFailure(described)) return { errorCode, transactionalId, ...UNKNOWN };
        const { state, startedAtMs, transactionTimeoutMs, producerId, producerEpoch } = described;
        return {
          errorCode,
          transactionalId,
          transactionState: state,
          transactionTimeoutMs,
          transactionStartTimeMs: startedAtMs,
          producerId,
          producerEpoch,
          topics: await named(described.topics, cluster),
        };
      },
    );
    return { transactionStates };
  },
);

/** Those that are not deleted. */
async function named(topics: readonly PartitionsOfTopic[], cluster: Cluster) {
  const found = await mapAtOnce(topics, KAFKA_PARTITIONS_AT_ONCE, async ({ topicId, partitions }) => {
    const topic = await cluster.topic({ id: topicId });
    return isFailure(topic) ? [] : [{ topic: topic.name, partitions }];
  });
  return found.flat();
}
