import { EdgelogError } from "../model/errors.ts";
import { SUBSCRIPTIONS_PER_SOCKET_MAX } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";

/** For who names none. Throws INVALID_REQUEST if they are more than fit on one subscription. */
export function everyPartition({ name, partitions }: Topic): number[] {
  if (partitions <= SUBSCRIPTIONS_PER_SOCKET_MAX) {
    return Array.from({ length: partitions }, (_, partition) => partition);
  }
  throw new EdgelogError(
    "INVALID_REQUEST",
    `topic ${name} has ${partitions} partitions, and one subscription takes at most ${SUBSCRIPTIONS_PER_SOCKET_MAX}; name partitions`,
  );
}
