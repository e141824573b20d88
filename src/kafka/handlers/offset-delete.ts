import { mapAtOnce } from "../../model/at-once.ts";
import { type ErrorName, errorRow, isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { offsetDeleteApi } from "../messages/offset-delete.ts";

export const offsetDelete = handler(offsetDeleteApi, async ({ groupId, topics }, { session }) => {
  const found = await mapAtOnce(topics, KAFKA_PARTITIONS_AT_ONCE, async ({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => partitionIndex),
    topic: await session.cluster.topic(name),
  }));
  const known = found.flatMap(({ topic, partitions }) =>
    isFailure(topic) ? [] : { topicId: topic.id, topic: topic.name, partitions },
  );
  const deleted = await groupOf(session, groupId).deleteOffsets(known);
  if (isFailure(deleted)) return { errorCode: errorCodeOf(deleted), topics: [] };
  const errors = new Map<string, ErrorName | null>();
  for (const { topicId, partition, error } of deleted) errors.set(`${topicId}/${partition}`, error);
  return {
    errorCode: 0,
    topics: found.map(({ name, partitions, topic }) => ({
      name,
      partitions: partitions.map((partitionIndex) => {
        const error = isFailure(topic) ? topic.error : (errors.get(`${topic.id}/${partitionIndex}`) ?? null);
        return { partitionIndex, errorCode: error === null ? 0 : errorRow(error).code };
      }),
    })),
  };
});
