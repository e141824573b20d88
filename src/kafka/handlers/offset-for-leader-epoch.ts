import { mapAtOnce } from "../../cluster/at-once.ts";
import { isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { errorCodeOf } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { offsetForLeaderEpochApi } from "../messages/offset-for-leader-epoch.ts";

export const offsetForLeaderEpoch = handler(offsetForLeaderEpochApi, async ({ topics }, { session }) => ({
  topics: await Promise.all(
    topics.map(async ({ topic, partitions }) => ({
      topic,
      partitions: await mapAtOnce(partitions, KAFKA_PARTITIONS_AT_ONCE, async (asked) => {
        const { partition, currentLeaderEpoch, leaderEpoch } = asked;
        const believed = currentLeaderEpoch < 0 ? undefined : currentLeaderEpoch;
        const end = await session.cluster.offsetForLeaderEpoch(topic, partition, leaderEpoch, believed);
        if (isFailure(end)) return { partition, errorCode: errorCodeOf(end) };
        return { partition, errorCode: 0, leaderEpoch: end.epoch, endOffset: end.endOffset };
      }),
    })),
  ),
}));
