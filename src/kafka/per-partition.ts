import { mapAtOnce } from "../model/at-once.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../model/limits.ts";

/**
 * Works on every partition of a request that names them topic by topic, at most KAFKA_PARTITIONS_AT_ONCE of them at any
 * time, whatever topics they belong to. The results of each topic, in the order of the request.
 */
export async function perPartition<Named, Asked, Result>(
  topics: readonly Named[],
  partitionsOf: (topic: Named) => readonly Asked[],
  work: (topic: Named, asked: Asked) => Promise<Result>,
): Promise<Result[][]> {
  const flat = topics.flatMap((topic) => partitionsOf(topic).map((asked) => ({ topic, asked })));
  const results = await mapAtOnce(flat, KAFKA_PARTITIONS_AT_ONCE, ({ topic, asked }) => work(topic, asked));
  let at = 0;
  return topics.map((topic) => {
    const from = at;
    at += partitionsOf(topic).length;
    return results.slice(from, at);
  });
}
