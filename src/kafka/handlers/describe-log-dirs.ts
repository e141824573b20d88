import { mapAtOnce } from "../../model/at-once.ts";
import { isFailure } from "../../model/errors.ts";
import {
  KAFKA_LOG_DIR_PARTITIONS_MAX,
  KAFKA_PARTITIONS_AT_ONCE,
  OPENED_PARTITIONS_PER_LIST_MAX,
} from "../../model/limits.ts";
import type { Topic } from "../../model/topic.ts";
import { type Call, handler } from "../handler.ts";
import { describeLogDirsApi } from "../messages/describe-log-dirs.ts";
import type { RequestOf } from "../schema.ts";
import { everyTopic } from "../topics.ts";

type Request = RequestOf<typeof describeLogDirsApi>;

/** There is one, and it has no path: each partition keeps its local segments in its own Durable Object. */
const LOG_DIR = "/durable-objects";

interface Place {
  readonly topic: Topic;
  readonly partition: number;
}

/** The bytes that partitions hold locally, of those that have ever been written to. */
export const describeLogDirs = handler(describeLogDirsApi, async (request, call) => {
  const places = await openedPlaces(request, call);
  const sizes = await mapAtOnce(places, KAFKA_PARTITIONS_AT_ONCE, async ({ topic, partition }) => {
    const description = await call.session.cluster.describePartition({ id: topic.id }, partition);
    return isFailure(description) ? undefined : description.localBytes;
  });
  const byTopic = Map.groupBy(
    places.flatMap(({ topic, partition }, index) => {
      const partitionSize = sizes[index];
      if (partitionSize === undefined) return [];
      return [
        { name: topic.name, partitionIndex: partition, partitionSize, offsetLag: 0, isFutureKey: false },
      ];
    }),
    ({ name }) => name,
  );
  const topics = [...byTopic].map(([name, partitions]) => ({ name, partitions }));
  return { errorCode: 0, results: [{ errorCode: 0, logDir: LOG_DIR, topics, isCordoned: false }] };
});

async function openedPlaces({ topics }: Request, { session: { cluster } }: Call): Promise<Place[]> {
  const places: Place[] = [];
  const asked = new Map(topics?.map(({ topic, partitions }) => [topic, new Set(partitions)]));
  const found = topics === null ? await everyTopic(cluster) : await namedTopics([...asked.keys()]);
  for (const topic of found) {
    const wanted = asked.get(topic.name);
    for await (const partition of openedPartitions(topic)) {
      if (wanted !== undefined && !wanted.has(partition)) continue;
      places.push({ topic, partition });
      if (places.length === KAFKA_LOG_DIR_PARTITIONS_MAX) return places;
    }
  }
  return places;

  async function namedTopics(names: readonly string[]): Promise<Topic[]> {
    const named = await mapAtOnce(names, KAFKA_PARTITIONS_AT_ONCE, (name) => cluster.topic(name));
    return named.flatMap((topic) => (isFailure(topic) ? [] : [topic]));
  }

  async function* openedPartitions({ id }: Topic): AsyncGenerator<number> {
    for (let after = -1; ; ) {
      const page = await cluster.controller.openedPartitions(id, after, OPENED_PARTITIONS_PER_LIST_MAX);
      yield* page;
      after = page.at(-1) ?? after;
      if (page.length < OPENED_PARTITIONS_PER_LIST_MAX) return;
    }
  }
}
