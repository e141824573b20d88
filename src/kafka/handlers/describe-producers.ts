import { mapAtOnce } from "../../cluster/at-once.ts";
import { isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { errorFields } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { describeProducersApi } from "../messages/describe-producers.ts";

export const describeProducers = handler(
  describeProducersApi,
  async ({ topics }, { session: { cluster } }) => ({
    topics: await Promise.all(
      topics.map(async ({ name, partitionIndexes }) => ({
        name,
        partitions: await mapAtOnce(partitionIndexes, KAFKA_PARTITIONS_AT_ONCE, async (partitionIndex) => {
          const producers = await cluster.activeProducers(name, partitionIndex);
          const activeProducers = isFailure(producers)
            ? []
            : producers.map((producer) => ({
                producerId: producer.producerId,
                producerEpoch: producer.producerEpoch,
                lastSequence: producer.lastSequence,
                lastTimestamp: producer.lastTimestampMs,
                coordinatorEpoch: producer.coordinatorEpoch,
                currentTxnStartOffset: producer.currentTransactionStartOffset,
              }));
          return { partitionIndex, ...errorFields(producers), activeProducers };
        }),
      })),
    ),
  }),
);
