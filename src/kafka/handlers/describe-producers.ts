import { isFailure } from "../../model/errors.ts";
import { errorFields } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { describeProducersApi } from "../messages/describe-producers.ts";
import { perPartition } from "../per-partition.ts";

export const describeProducers = handler(
  describeProducersApi,
  async ({ topics }, { session: { cluster } }) => {
    const described = await perPartition(
      topics,
      ({ partitionIndexes }) => partitionIndexes,
      async ({ name }, partitionIndex) => {
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
      },
    );
    return { topics: topics.map(({ name }, index) => ({ name, partitions: described[index] ?? [] })) };
  },
);
