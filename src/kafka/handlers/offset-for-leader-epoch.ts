import { isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { offsetForLeaderEpochApi } from "../messages/offset-for-leader-epoch.ts";
import { perPartition } from "../per-partition.ts";

export const offsetForLeaderEpoch = handler(
  offsetForLeaderEpochApi,
  async ({ topics }, { session: { cluster } }) => {
    const found = await perPartition(
      topics,
      ({ partitions }) => partitions,
      async ({ topic }, { partition, currentLeaderEpoch, leaderEpoch }) => {
        const believed = currentLeaderEpoch < 0 ? undefined : currentLeaderEpoch;
        const end = await cluster.offsetForLeaderEpoch(topic, partition, leaderEpoch, believed);
        if (isFailure(end)) return { partition, errorCode: errorCodeOf(end) };
        return { partition, errorCode: 0, leaderEpoch: end.epoch, endOffset: end.endOffset };
      },
    );
    return { topics: topics.map(({ topic }, index) => ({ topic, partitions: found[index] ?? [] })) };
  },
);
