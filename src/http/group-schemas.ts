/** The schemas of groups, their members and their offsets. */

import { z } from "@hono/zod-openapi";
import type { PartitionOfTopic } from "../../durable-objects/group/rpc.ts";
import { failure } from "../model/errors.ts";
import { groupIdProblem } from "../model/ids.ts";
import { OFFSET_METADATA_CHARACTERS_MAX } from "../model/limits.ts";
import { ErrorDetail, rule } from "./errors.ts";
import { Offset, PartitionIndex, TopicName } from "./schemas.ts";

export const GroupId = z
  .string()
  .superRefine(
    rule((groupId) => {
      const problem = groupIdProblem(groupId);
      return problem === undefined ? undefined : failure("INVALID_GROUP_ID", problem);
    }),
  )
  .openapi({ description: "Kafka's `group.id`; 1 to 1,000 bytes of UTF-8.", example: "billing" });

export const GroupParams = z.object({ group: GroupId });

const AFTER = /^([a-zA-Z0-9._-]{1,249}):(\d{1,10})$/;

/** The cursor of pages of partitions: `<topic>:<partition>`. */
export const AfterPartition = z
  .string()
  .transform((text, context) => {
    const [, topic, partition] = AFTER.exec(text) ?? [];
    if (topic !== undefined) return { topic, partition: Number(partition) };
    context.addIssue({ code: "custom", message: "must be <topic>:<partition>, such as flights:7" });
    return z.NEVER;
  })
  .openapi({
    type: "string",
    description: "Only partitions that sort after this one: `next_after` of the page before.",
    example: "flights:7",
  });

/** As {@link AfterPartition} reads it. */
export function afterText(last: PartitionOfTopic | null): string | null {
  return last === null ? null : `${last.topic}:${last.partition}`;
}

export const NextAfter = z
  .string()
  .nullable()
  .openapi({ description: "`after` of the next page; null on the last one." });

export const State = z.string().openapi({
  description:
    "Kafka's: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`, `Reconciling`, `Stable`.",
  example: "Stable",
});

export const Type = z.string().openapi({
  description:
    "`classic`: a member assigns the partitions. `consumer`: the coordinator does (KIP-848). A group that only holds offsets is `classic`.",
  example: "consumer",
});

export const ProtocolType = z
  .string()
  .openapi({ description: "`consumer` for consumers; empty of a group that only holds offsets." });

export const AssignedTopic = z
  .object({ topic: TopicName, partitions: z.array(PartitionIndex) })
  .openapi("AssignedTopic");

export const GroupMember = z
  .object({
    member_id: z.string(),
    instance_id: z
      .string()
      .nullable()
      .openapi({ description: "Of a static member: its `group.instance.id`." }),
    client_id: z.string(),
    client_host: z.string().openapi({ example: "/127.0.0.1" }),
    member_epoch: z.int().nullable().openapi({ description: "Of members of a `consumer` group." }),
    assignment: z.array(AssignedTopic),
    target_assignment: z
      .array(AssignedTopic)
      .nullable()
      .openapi({ description: "What a member of a `consumer` group is being moved towards." }),
  })
  .openapi("GroupMember");

const CommittedAt = z.int().openapi({ format: "int64", description: "ms since 1970." });

export const CommittedOffsetAnswer = z
  .object({
    topic: TopicName,
    partition: PartitionIndex,
    offset: Offset.openapi({ description: "Of the record to be read next." }),
    leader_epoch: z.int().openapi({ description: "Of the last record read; -1: not said." }),
    metadata: z.string(),
    committed_at_ms: CommittedAt,
  })
  .openapi("CommittedOffset");

export const GroupPartition = z
  .object({
    topic: TopicName,
    partition: PartitionIndex,
    committed_offset: Offset.nullable().openapi({
      description: "Of the record to be read next; null: nothing is committed yet.",
    }),
    leader_epoch: z.int().nullable(),
    metadata: z.string().nullable(),
    committed_at_ms: CommittedAt.nullable(),
    member_id: z.string().nullable().openapi({ description: "The member that it is assigned to." }),
    log_start_offset: Offset.nullable(),
    log_end_offset: Offset.nullable(),
    lag_records: z.int().nullable().openapi({
      format: "int64",
      description:
        "The log end minus the committed offset, as Kafka's tools count it: negative where that lies beyond. null where nothing is committed.",
    }),
    lag_ms: z.int().nullable().openapi({
      format: "int64",
      description:
        "The age of the oldest record that is not read: now minus the time of the batch that holds it. null where none is unread.",
    }),
    error: ErrorDetail.optional().openapi({
      description: "The partition's leader could not be asked; what it would have told is null.",
    }),
  })
  .openapi("GroupPartition");

export const OffsetToSet = z
  .strictObject({
    topic: TopicName,
    partition: PartitionIndex,
    offset: Offset.min(0).openapi({ description: "Of the record to be read next." }),
    leader_epoch: z
      .int()
      .min(-1)
      .max(2 ** 31 - 1)
      .optional(),
    metadata: z.string().max(OFFSET_METADATA_CHARACTERS_MAX).optional(),
  })
  .openapi("OffsetToSet");
