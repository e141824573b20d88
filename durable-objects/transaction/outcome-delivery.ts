/** Tells all who took part in a transaction how it has ended. To be told twice changes nothing. */

import { mapAtOnce } from "../../src/model/at-once.ts";
import { type ErrorName, type Failure, isFailure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { inTime } from "../../src/model/in-time.ts";
import {
  TRANSACTION_MARKER_RETRY_MS,
  TRANSACTION_MARKERS_AT_ONCE,
  TRANSACTION_TELL_MS_MAX,
} from "../../src/model/limits.ts";
import type { Participant, TransactionOutcome } from "./rpc.ts";
import type { Transaction } from "./transaction.ts";

/** Those who take part, as a coordinator reaches them. null: it is written. */
export interface Participants {
  tellPartition(topicId: TopicId, partition: number, outcome: TransactionOutcome): Promise<Failure | null>;
  tellGroup(groupId: string, outcome: TransactionOutcome): Promise<Failure | null>;
}

/** There is nobody left to tell: the topic is deleted, or a later epoch has written, which can only come after an end. */
const NOBODY_LEFT = new Set<ErrorName>([
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "INVALID_PRODUCER_EPOCH",
]);

/** Who could not be told, after a few tries. */
export async function deliverOutcome(
  outcome: TransactionOutcome,
  untold: readonly Participant[],
  participants: Participants,
): Promise<readonly Participant[]> {
  let left = untold;
  for (const retryMs of [...TRANSACTION_MARKER_RETRY_MS, undefined]) {
    const told = await mapAtOnce(left, TRANSACTION_MARKERS_AT_ONCE, (one) =>
      tell(one, outcome, participants),
    );
    left = left.filter((_, index) => told[index] !== true);
    if (left.length === 0) break;
    if (retryMs !== undefined) await new Promise<void>((resolve) => setTimeout(resolve, retryMs));
  }
  return left;
}

export function participantsOf({ topics, groupIds }: Transaction): Participant[] {
  return [
    ...topics.flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => ({ kind: "partition" as const, topicId, partition })),
    ),
    ...groupIds.map((groupId) => ({ kind: "group" as const, groupId })),
  ];
}

async function tell(
  participant: Participant,
  outcome: TransactionOutcome,
  participants: Participants,
): Promise<boolean> {
  try {
    const telling =
      participant.kind === "group"
        ? participants.tellGroup(participant.groupId, outcome)
        : participants.tellPartition(participant.topicId, participant.partition, outcome);
    const answer = await inTime(telling, TRANSACTION_TELL_MS_MAX, () => {
      throw new Error(`no answer within ${TRANSACTION_TELL_MS_MAX} ms`);
    });
    return !isFailure(answer) || NOBODY_LEFT.has(answer.error);
  } catch (error) {
    console.warn("the end of a transaction will be told again:", error);
    return false;
  }
}
