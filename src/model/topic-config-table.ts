/** Every topic config that there is: Kafka's, with the names, types and defaults of its 4.4, and ours (`edgelog.`). */

import { BATCH_BYTES_MAX, SEGMENT_BYTES_MAX } from "./limits.ts";
import { JURISDICTIONS, LOCATION_HINTS } from "./locations.ts";

export type TopicConfigType = "boolean" | "double" | "int" | "list" | "long" | "string";

export interface TopicConfigDefinition {
  readonly name: string;
  readonly type: TopicConfigType;
  readonly default: string;
  readonly documentation: string;
  /** It stays what it was when the topic was created. */
  readonly isFixed?: true;
  readonly min?: number;
  readonly max?: number;
  /** The values that are honoured, where not all of Kafka's are. */
  readonly values?: readonly string[];
  /** Why a value outside `min`, `max` or `values` is refused though Kafka would take it. */
  readonly reason?: string;
}

/** Kafka's defaults of "never" are Long.MAX_VALUE. */
export const LONG_MAX_TEXT = "9223372036854775807";

const ALWAYS_DURABLE = "every acknowledged append is already durable";
const DEFAULT_LEVEL = "batches are compressed at the codec's default level";
const UPLOADED_AT_ONCE = "a segment is uploaded as soon as it is sealed";

export const TOPIC_CONFIGS: readonly TopicConfigDefinition[] = [
  {
    name: "cleanup.policy",
    type: "list",
    default: "delete",
    values: ["delete"],
    reason: "log compaction is not supported yet",
    documentation:
      "What happens to old segments: `delete` removes them by time and size; an empty list keeps all of them.",
  },
  {
    name: "compression.gzip.level",
    type: "int",
    default: "-1",
    values: ["-1"],
    reason: DEFAULT_LEVEL,
    documentation: "The level of gzip where `compression.type` asks for it.",
  },
  {
    name: "compression.lz4.level",
    type: "int",
    default: "9",
    values: ["9"],
    reason: DEFAULT_LEVEL,
    documentation: "The level of lz4 where `compression.type` asks for it.",
  },
  {
    name: "compression.type",
    type: "string",
    default: "producer",
    values: ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
    documentation:
      "The codec that batches are stored in; those in another one are compressed anew. `producer` keeps the codec that the producer chose.",
  },
  {
    name: "compression.zstd.level",
    type: "int",
    default: "3",
    values: ["3"],
    reason: DEFAULT_LEVEL,
    documentation: "The level of zstd where `compression.type` asks for it.",
  },
  {
    name: "delete.retention.ms",
    type: "long",
    default: "86400000",
    min: 0,
    documentation: "How long tombstones stay in a compacted topic, in ms.",
  },
  {
    name: "file.delete.delay.ms",
    type: "long",
    default: "60000",
    min: 0,
    documentation: "How long a segment object stays in R2 after it has left the log, in ms.",
  },
  {
    name: "flush.messages",
    type: "long",
    default: LONG_MAX_TEXT,
    min: 1,
    documentation: `Records after which the log is flushed; ${ALWAYS_DURABLE}.`,
  },
  {
    name: "flush.ms",
    type: "long",
    default: LONG_MAX_TEXT,
    min: 0,
    documentation: `Time after which the log is flushed, in ms; ${ALWAYS_DURABLE}.`,
  },
  {
    name: "index.interval.bytes",
    type: "int",
    default: "4096",
    min: 0,
    documentation:
      "Bytes between two entries of a segment's index; an index is also kept small enough for one row.",
  },
  {
    name: "local.retention.bytes",
    type: "long",
    default: "-2",
    min: -2,
    documentation:
      "Bytes of uploaded segments that stay in SQLite too; -2 leaves it to the partition (64 MiB).",
  },
  {
    name: "local.retention.ms",
    type: "long",
    default: "-2",
    min: -2,
    documentation:
      "How long an uploaded segment stays in SQLite too, in ms; -2 means as long as retention.ms, within 64 MiB.",
  },
  {
    name: "max.compaction.lag.ms",
    type: "long",
    default: LONG_MAX_TEXT,
    min: 1,
    documentation: "How long a record of a compacted topic may stay uncompacted, in ms.",
  },
  {
    name: "max.message.bytes",
    type: "int",
    default: "1048588",
    min: 0,
    max: BATCH_BYTES_MAX,
    reason: `a batch must fit into one SQLite row, so at most ${BATCH_BYTES_MAX}`,
    documentation: "The largest record batch, in bytes, after compression.",
  },
  {
    name: "message.timestamp.after.max.ms",
    type: "long",
    default: "3600000",
    min: 0,
    documentation: "How far a record's timestamp may lie ahead of the leader's clock, in ms.",
  },
  {
    name: "message.timestamp.before.max.ms",
    type: "long",
    default: LONG_MAX_TEXT,
    min: 0,
    documentation: "How far a record's timestamp may lie behind the leader's clock, in ms.",
  },
  {
    name: "message.timestamp.type",
    type: "string",
    default: "CreateTime",
    values: ["CreateTime", "LogAppendTime"],
    documentation: "Whose clock stamps the records: the producer's or the leader's.",
  },
  {
    name: "min.cleanable.dirty.ratio",
    type: "double",
    default: "0.5",
    min: 0,
    max: 1,
    documentation: "The part of a compacted log that must be uncompacted before it is compacted again.",
  },
  {
    name: "min.compaction.lag.ms",
    type: "long",
    default: "0",
    min: 0,
    documentation: "How long a record of a compacted topic stays uncompacted at least, in ms.",
  },
  {
    name: "min.insync.replicas",
    type: "int",
    default: "1",
    min: 1,
    max: 3,
    reason: "a commit is confirmed by three of five replicas, so no more than 3 can be promised",
    documentation:
      "Replicas that must hold a write before it is acknowledged; the platform's quorum is three of five.",
  },
  {
    name: "preallocate",
    type: "boolean",
    default: "false",
    values: ["false"],
    reason: "there are no segment files to preallocate",
    documentation: "Preallocate segment files.",
  },
  {
    name: "remote.copy.lag.bytes",
    type: "long",
    default: "0",
    values: ["0"],
    reason: UPLOADED_AT_ONCE,
    documentation: "Bytes of newer records before a sealed segment is uploaded.",
  },
  {
    name: "remote.copy.lag.ms",
    type: "long",
    default: "0",
    values: ["0"],
    reason: UPLOADED_AT_ONCE,
    documentation: "How long a sealed segment waits for its upload, in ms.",
  },
  {
    name: "remote.log.copy.disable",
    type: "boolean",
    default: "false",
    documentation: "Stop uploading segments to R2; those already there stay readable.",
  },
  {
    name: "remote.log.delete.on.disable",
    type: "boolean",
    default: "false",
    values: ["false"],
    reason: "segments in R2 are deleted by retention or with the topic",
    documentation: "Delete the segments in R2 when tiering is switched off.",
  },
  {
    name: "remote.storage.enable",
    type: "boolean",
    default: "true",
    documentation:
      "Tier sealed segments to R2 (Kafka's own default is false); without it a partition holds at most 8 GiB.",
  },
  {
    name: "retention.bytes",
    type: "long",
    default: "-1",
    min: -1,
    documentation: "Bytes that a partition keeps over all tiers; -1 for no limit.",
  },
  {
    name: "retention.ms",
    type: "long",
    default: "604800000",
    min: -1,
    documentation: "How long a segment is kept after its newest record, in ms; -1 for ever.",
  },
  {
    name: "segment.bytes",
    type: "int",
    default: "16777216",
    min: 14,
    documentation: `Size at which a segment is sealed, in bytes; effective at most ${SEGMENT_BYTES_MAX}.`,
  },
  {
    name: "segment.index.bytes",
    type: "int",
    default: "10485760",
    min: 4,
    documentation: "Size of a segment's index; an index is kept in its segment's row, spaced out to fit.",
  },
  {
    name: "segment.jitter.ms",
    type: "long",
    default: "0",
    values: ["0"],
    reason: "each partition's alarm seals its own segments, so rolling at once costs nothing",
    documentation: "Random time taken off segment.ms, in ms, so that segments do not all roll at once.",
  },
  {
    name: "segment.ms",
    type: "long",
    default: "604800000",
    min: 1,
    documentation: "Age at which a segment is sealed even if it is not full, in ms.",
  },
  {
    name: "unclean.leader.election.enable",
    type: "boolean",
    default: "false",
    values: ["false"],
    reason: "a partition has one leader and its replicas are the platform's",
    documentation: "Let a replica that is out of sync become leader.",
  },
  {
    name: "edgelog.location",
    type: "string",
    default: "",
    values: ["", ...LOCATION_HINTS],
    documentation: "Cloudflare location hint for the topic's partitions; empty: near the first producer.",
  },
  {
    name: "edgelog.jurisdiction",
    type: "string",
    default: "",
    values: ["", ...JURISDICTIONS],
    isFixed: true,
    documentation:
      "Cloudflare jurisdiction that the topic's partitions never leave; fixed when the topic is created.",
  },
  {
    name: "edgelog.local.drop.delay.ms",
    type: "long",
    default: "60000",
    min: 0,
    documentation: "How long a segment stays in SQLite after its upload to R2 was committed, in ms.",
  },
];

const BY_NAME: ReadonlyMap<string, TopicConfigDefinition> = new Map(
  TOPIC_CONFIGS.map((config) => [config.name, config]),
);

export function topicConfigDefinition(name: string): TopicConfigDefinition | undefined {
  return BY_NAME.get(name);
}
