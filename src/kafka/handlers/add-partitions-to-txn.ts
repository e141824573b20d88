import type { PartitionsOfTopic, ProducerIdentity } from "../../../durable-objects/transaction/rpc.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { TransactionClient } from "../../cluster/transaction-client.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { noSuchPartition } from "../../model/topic.ts";
import { handler } from "../handler.ts";
import { addPartitionsToTxnApi } from "../messages/add-partitions-to-txn.ts";
import { transactionErrorCode } from "../transaction-errors.ts";

const FIRST_VERSION_WITH_FENCED = 2;
const FIRST_VERSION_WITH_SEVERAL = 4;

interface TopicOfTransaction {
  readonly name: string;
  readonly partitions: readonly number[];
}

interface PartitionsToAdd extends ProducerIdentity {
  readonly transactionalId: string;
  readonly topics: readonly TopicOfTransaction[];
  readonly verifyOnly: boolean;
}

/** From version 4 on meant for brokers, in Kafka; clients send it all the same. */
export const addPartitionsToTxn = handler(
  addPartitionsToTxnApi,
  async (request, { version, session: { cluster } }) => {
    const add = async (one: PartitionsToAdd) => inAnswer(one.topics, await resultsOf(one, cluster), version);
    if (version >= FIRST_VERSION_WITH_SEVERAL) {
      const resultsByTransaction = await mapAtOnce(
        request.transactions,
        KAFKA_PARTITIONS_AT_ONCE,
        async (one) => ({ transactionalId: one.transactionalId, topicResults: await add(one) }),
      );
      return { resultsByTransaction, resultsByTopicV3AndBelow: [] };
    }
    const resultsByTopicV3AndBelow = await add({
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      topics: request.v3AndBelowTopics,
      verifyOnly: false,
    });
    return { resultsByTransaction: [], resultsByTopicV3AndBelow };
  },
);

/** One result for all partitions, or one for each. */
type Results = Failure | null | readonly (readonly (Failure | undefined)[])[];

async function resultsOf(request: PartitionsToAdd, cluster: Cluster): Promise<Results> {
  const { transactionalId, topics, verifyOnly, producerId, producerEpoch } = request;
  const known = await mapAtOnce(topics, KAFKA_PARTITIONS_AT_ONCE, (topic) => locate(topic, cluster));
  if (known.some(({ problems }) => problems.some((problem) => problem !== undefined))) {
    // All or nothing, as in Kafka.
    const others = failure("OPERATION_NOT_ATTEMPTED", "other partitions of the request do not exist");
    return known.map(({ problems }) => problems.map((problem) => problem ?? others));
  }
  const found = known.map(({ topicId, partitions }) => ({ topicId, partitions }));
  const coordinator = cluster.transaction(transactionalId);
  const producer = { producerId, producerEpoch };
  return verifyOnly
    ? verify(producer, found, coordinator)
    : coordinator.addPartitions({ ...producer, topics: found });
}

function verify(
  producer: ProducerIdentity,
  topics: readonly PartitionsOfTopic[],
  coordinator: TransactionClient,
): Promise<(Failure | undefined)[][]> {
  return mapAtOnce(topics, 1, ({ topicId, partitions }) =>
    mapAtOnce(partitions, KAFKA_PARTITIONS_AT_ONCE, async (partition) => {
      const participant = { kind: "partition" as const, topicId, partition };
      const joined = await coordinator.join({ ...producer, participant, adds: false });
      return isFailure(joined) ? joined : undefined;
    }),
  );
}

async function locate(
  { name, partitions }: TopicOfTransaction,
  cluster: Cluster,
): Promise<PartitionsOfTopic & { readonly problems: readonly (Failure | undefined)[] }> {
  const topic = await cluster.topic(name);
  const problems = partitions.map((partition) => {
    if (isFailure(topic)) return topic;
    return partition >= 0 && partition < topic.partitions ? undefined : noSuchPartition(topic, partition);
  });
  return { topicId: isFailure(topic) ? "" : topic.id, partitions, problems };
}

function inAnswer(topics: readonly TopicOfTransaction[], results: Results, version: number) {
  return topics.map(({ name, partitions }, topic) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex, index) => {
      const result = results === null || isFailure(results) ? results : results[topic]?.[index];
      const partitionErrorCode = transactionErrorCode(result, version, FIRST_VERSION_WITH_FENCED);
      return { partitionIndex, partitionErrorCode };
    }),
  }));
}
