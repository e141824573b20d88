/** Records from outside into the log, by as few batches as hold them. */

import type { PackedRecords } from "../log/packed-records.ts";
import { EdgelogError, type Failure, failure, isFailure, unwrap } from "../model/errors.ts";
import { APPENDS_PER_REQUEST_IN_FLIGHT_MAX } from "../model/limits.ts";
import type { Cluster } from "./cluster.ts";
import { type PlannedTopic, type PlanOptions, type ProducePlan, planProduce } from "./produce-plan.ts";

/** Where a record went, or why it did not. */
export type Stored = { readonly partition: number; readonly offset: number } | Failure;

export type ProduceOptions = Omit<PlanOptions, "random">;

/**
 * One entry per record, in order. The records of one partition are stored in this order; when one batch fails, later ones
 * of its partition are not tried.
 * @throws EdgelogError for a request that is wrong in itself (as `planProduce`); then nothing is stored.
 */
export async function produceRecords(
  cluster: Cluster,
  topic: string,
  records: PackedRecords,
  options: ProduceOptions,
): Promise<Stored[]> {
  const random = Math.random();
  const plan = await checkedTopic(cluster, topic, (planned) =>
    planProduce(planned, records, { ...options, random }),
  );
  const stored: Stored[] = new Array(records.length);
  await appendAll(cluster, topic, plan, stored);
  return stored;
}

/**
 * What `check` makes of the topic, which is created only if `check` has let pass what it would be created as: a request
 * that is wrong in itself leaves no topic behind. What is wrong with a topic as it was cached is checked again.
 */
export async function checkedTopic<T>(
  cluster: Cluster,
  name: string,
  check: (topic: PlannedTopic) => T,
): Promise<T> {
  const known = await cluster.topic(name);
  if (isFailure(known)) {
    if (known.error !== "UNKNOWN_TOPIC_OR_PARTITION") throw EdgelogError.from(known);
    check({ name, partitions: cluster.defaultPartitions, configs: {} });
    return check(unwrap(await cluster.topicForProduce(name)));
  }
  try {
    return check(known);
  } catch {
    cluster.forget(known);
    return check(unwrap(await cluster.topic(name)));
  }
}

/** Partitions side by side, the batches of one after another. */
async function appendAll(
  cluster: Cluster,
  topic: string,
  plan: ProducePlan,
  stored: Stored[],
): Promise<void> {
  const waiting = plan.entries();
  const work = async (): Promise<void> => {
    for (const [partition, batches] of waiting) {
      let failed: Failure | undefined;
      for (const { indexes, encode } of batches) {
        const appended = failed ?? (await cluster.append(topic, partition, encode()));
        for (const [nth, index] of indexes.entries()) {
          stored[index] = isFailure(appended) ? appended : { partition, offset: appended.baseOffset + nth };
        }
        // A later batch must not be stored before an earlier one is.
        if (failed === undefined && isFailure(appended)) {
          failed = failure(
            appended.error,
            `Not tried, an earlier batch of the partition failed: ${appended.message}`,
          );
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(plan.size, APPENDS_PER_REQUEST_IN_FLIGHT_MAX) }, work));
}
