/** What callers pass, held against its types: theirs may be none, or of another version. */

import { z } from "zod";
import { EdgelogError } from "../model/errors.ts";
import { topicNameProblem } from "../model/ids.ts";
import { ISOLATIONS, type Isolation } from "../model/isolation.ts";
import {
  OFFSET_MAX,
  PARTITION_MAX,
  READ_BYTES_MAX,
  READ_WAIT_MS_MAX,
  SUBSCRIPTIONS_PER_SOCKET_MAX,
} from "../model/limits.ts";
import { noSuchPartition, type Topic } from "../model/topic.ts";
import { everyPartition } from "../subscribe/every-partition.ts";
import type { PartitionStart } from "../subscribe/protocol.ts";

const INT16_MAX = 2 ** 15 - 1;
const INT32_MAX = 2 ** 31 - 1;

const Partition = z.int().min(0).max(PARTITION_MAX);
const Offset = z.int().min(0).max(OFFSET_MAX);
const Timestamp = z.strictObject({ timestamp: z.int().min(0) });

const Produce = z.strictObject({
  partition: Partition.optional(),
  compression: z.enum(["none", "gzip", "zstd"]).optional(),
  producer: z
    .strictObject({
      producerId: z.int().min(0),
      producerEpoch: z.int().min(0).max(INT16_MAX),
      baseSequence: z.int().min(0).max(INT32_MAX),
    })
    .optional(),
});

const Fetch = z.strictObject({
  from: z
    .union([z.enum(["earliest", "latest"]), Offset, Timestamp], {
      error: 'must be "earliest", "latest", an offset or { timestamp }',
    })
    .default("earliest"),
  maxBytes: z.int().min(1).max(READ_BYTES_MAX).optional(),
  minBytes: z.int().min(0).max(READ_BYTES_MAX).optional(),
  maxWaitMs: z.int().min(0).max(READ_WAIT_MS_MAX).optional(),
  isolationLevel: z.enum(ISOLATIONS).default("read_uncommitted"),
});

const Subscribe = z.strictObject({
  from: z
    .union(
      [
        z.enum(["earliest", "latest"]),
        Timestamp,
        z.strictObject({ offsets: z.record(z.string().regex(/^\d{1,10}$/), Offset) }),
      ],
      { error: 'must be "earliest", "latest", { timestamp } or { offsets: { partition: offset } }' },
    )
    .default("latest"),
  partitions: z.array(Partition).max(SUBSCRIPTIONS_PER_SOCKET_MAX).optional(),
  isolationLevel: z.enum(ISOLATIONS).default("read_uncommitted"),
});

const Next = z.strictObject({ maxWaitMs: z.int().min(0).max(INT32_MAX).optional() });

/** Each throws INVALID_REQUEST that names what is wrong. */
export const produceOptions = parserOf(Produce);
export const fetchOptions = parserOf(Fetch);
export const nextOptions = parserOf(Next);
export const partitionIndex = parserOf(Partition, "partition");
const subscribeOptions = parserOf(Subscribe);

/** INVALID_TOPIC_EXCEPTION */
export function topicName(name: unknown): string {
  const problem = typeof name === "string" ? topicNameProblem(name) : "the name of the topic is no string";
  if (typeof name === "string" && problem === undefined) return name;
  throw new EdgelogError("INVALID_TOPIC_EXCEPTION", problem);
}

/** INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION */
export function subscription(
  topic: Topic,
  options: unknown,
): { readonly starts: readonly PartitionStart[]; readonly isolation: Isolation } {
  const { from, partitions, isolationLevel: isolation } = subscribeOptions(options);
  const wanted = partitions ?? everyPartition(topic);
  const unknown = wanted.find((partition) => partition >= topic.partitions);
  if (unknown !== undefined) throw EdgelogError.from(noSuchPartition(topic, unknown));
  const starts = [...new Set(wanted)].map((partition): PartitionStart => {
    if (typeof from === "string") return { partition, offset: from };
    if ("timestamp" in from) return { partition, timestamp: from.timestamp };
    return { partition, offset: from.offsets[String(partition)] ?? "earliest" };
  });
  return { starts, isolation };
}

function parserOf<T>(schema: z.ZodType<T>, what = ""): (value: unknown) => T {
  return (value) => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = [what, ...(issue?.path ?? [])].filter((part) => part !== "").join(".");
    const problem = issue?.message ?? "is wrong";
    throw new EdgelogError("INVALID_REQUEST", where === "" ? problem : `${where}: ${problem}`);
  };
}
