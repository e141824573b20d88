/** Where a reset puts each partition of a group, by the rules of kafka-consumer-groups. */

import { EdgelogError } from "../../model/errors.ts";
import { isOffset, isPartition } from "../../subscribe/position.ts";
import { type OptionNames, requireKnown } from "../known-options.ts";
import { CALL_OPTIONS, type CallOptions, type OffsetsOptions, type Topics } from "../topics.ts";
import type { CommittedOffset } from "./descriptions.ts";

/**
 * - `earliest`, `latest`: the log start, the log end.
 * - `current`: where it is; the log end where nothing is committed.
 * - `offset`, `shiftBy` (from where it is, either way): as far as the log has it.
 * - `timestamp` (ms since 1970): the first record that is not older; the log end where there is none.
 */
export type ResetTo =
  | "earliest"
  | "latest"
  | "current"
  | { readonly offset: number }
  | { readonly shiftBy: number }
  | { readonly timestamp: number };

/** All partitions of a topic, or some. */
export type TopicSelection = string | { readonly topic: string; readonly partitions: readonly number[] };

export interface ResetOffsetsOptions extends CallOptions {
  readonly to: ResetTo;
  /** Absent: every partition that has a committed offset. */
  readonly topics?: readonly TopicSelection[];
  /** Only tell what would be done. Default false. */
  readonly dryRun?: boolean;
}

const RESET_OPTIONS: OptionNames<ResetOffsetsOptions> = {
  ...CALL_OPTIONS,
  to: true,
  topics: true,
  dryRun: true,
};

/** Throws INVALID_CONFIG with what is wrong. */
export function requireReset(options: ResetOffsetsOptions): void {
  requireKnown(options, RESET_OPTIONS);
  const { to, topics } = options;
  if (!isTarget(to)) {
    throw invalid(
      `to must be "earliest", "latest", "current", { offset }, { shiftBy } or { timestamp }, not ${JSON.stringify(to)}`,
    );
  }
  if (topics === undefined) return;
  if (Array.isArray(topics) && topics.every(isSelection)) return;
  throw invalid(
    `topics must list names, or { topic, partitions } for some partitions, not ${JSON.stringify(topics)}`,
  );
}

function isTarget(to: unknown): boolean {
  if (to === "earliest" || to === "latest" || to === "current") return true;
  if (typeof to !== "object" || to === null) return false;
  const [entry, ...others] = Object.entries(to);
  if (entry === undefined || others.length > 0) return false;
  const [name, value] = entry;
  return name === "shiftBy"
    ? Number.isSafeInteger(value)
    : (name === "offset" || name === "timestamp") && isOffset(value);
}

function isSelection(selection: unknown): boolean {
  if (typeof selection === "string") return true;
  if (typeof selection !== "object" || selection === null) return false;
  if (!("topic" in selection) || !("partitions" in selection)) return false;
  const { topic, partitions } = selection;
  return typeof topic === "string" && Array.isArray(partitions) && partitions.every(isPartition);
}

function invalid(message: string): EdgelogError {
  return new EdgelogError("INVALID_CONFIG", message);
}

/** One partition of a reset. */
export interface OffsetReset {
  readonly topic: string;
  readonly partition: number;
  /** null: nothing was committed. */
  readonly previousOffset: number | null;
  readonly offset: number;
  /** What was asked for, where the log does not have it; null: `offset` is what was asked for. */
  readonly outOfRange: number | null;
}

/** Throws UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST where there is nothing to shift, or to set. */
export async function planReset(
  topics: Topics,
  committed: readonly CommittedOffset[],
  { to, topics: selections, signal }: ResetOffsetsOptions,
): Promise<OffsetReset[]> {
  const plan: OffsetReset[] = [];
  for (const [topic, partitions] of await selected(topics, committed, selections, signal)) {
    const before = new Map(
      committed
        .filter((offset) => offset.topic === topic)
        .map(({ partition, offset }) => [partition, offset]),
    );
    const look = (timestamp: OffsetsOptions["timestamp"]) =>
      offsetsOf(topics, topic, {
        partitions,
        ...(timestamp !== undefined && { timestamp }),
        ...(signal && { signal }),
      });
    const found = await targets(to, partitions, before, look, topic);
    for (const partition of partitions) {
      const { offset, outOfRange = null } = found.get(partition) ?? { offset: 0 };
      plan.push({ topic, partition, previousOffset: before.get(partition) ?? null, offset, outOfRange });
    }
  }
  return plan;
}

type Look = (timestamp: OffsetsOptions["timestamp"]) => Promise<Map<number, number>>;
type Target = { readonly offset: number; readonly outOfRange?: number };

async function targets(
  to: ResetTo,
  partitions: readonly number[],
  before: ReadonlyMap<number, number>,
  look: Look,
  topic: string,
): Promise<Map<number, Target>> {
  const each = (target: (partition: number) => Target) =>
    new Map(partitions.map((partition) => [partition, target(partition)]));
  if (to === "earliest") {
    const begins = await look("earliest");
    return each((partition) => ({ offset: begins.get(partition) ?? 0 }));
  }
  const ends = await look("latest");
  const end = (partition: number) => ends.get(partition) ?? 0;
  if (to === "latest") return each((partition) => ({ offset: end(partition) }));
  if (to === "current") return each((partition) => ({ offset: before.get(partition) ?? end(partition) }));
  if ("timestamp" in to) {
    const found = await look(to.timestamp);
    return each((partition) => {
      const offset = found.get(partition) ?? -1;
      return { offset: offset < 0 ? end(partition) : offset };
    });
  }
  const begins = await look("earliest");
  return each((partition) => {
    const asked = "offset" in to ? to.offset : shifted(topic, partition, before.get(partition), to.shiftBy);
    const offset = Math.min(Math.max(asked, begins.get(partition) ?? 0), end(partition));
    return offset === asked ? { offset } : { offset, outOfRange: asked };
  });
}

function shifted(topic: string, partition: number, from: number | undefined, by: number): number {
  if (from !== undefined) return from + by;
  throw new EdgelogError(
    "INVALID_REQUEST",
    `partition ${partition} of ${topic} has no committed offset from which it could be shifted`,
  );
}

async function offsetsOf(
  topics: Topics,
  topic: string,
  options: OffsetsOptions,
): Promise<Map<number, number>> {
  const offsets = await topics.offsets(topic, options);
  return new Map(offsets.map(({ partition, offset }) => [partition, offset]));
}

/** topic → partitions. */
async function selected(
  topics: Topics,
  committed: readonly CommittedOffset[],
  selections: readonly TopicSelection[] | undefined,
  signal: CallOptions["signal"],
): Promise<Map<string, readonly number[]>> {
  const chosen = new Map<string, Set<number>>();
  const choose = (topic: string, partitions: Iterable<number>) => {
    chosen.set(topic, new Set([...(chosen.get(topic) ?? []), ...partitions]));
  };
  if (selections === undefined) {
    if (committed.length === 0) {
      throw new EdgelogError(
        "INVALID_REQUEST",
        "the group has committed nothing yet: say which topics to set",
      );
    }
    for (const { topic, partition } of committed) choose(topic, [partition]);
  }
  for (const selection of selections ?? []) {
    if (typeof selection !== "string") choose(selection.topic, selection.partitions);
    else {
      const { partitions } = await topics.describe(selection, signal === undefined ? {} : { signal });
      choose(
        selection,
        Array.from({ length: partitions }, (_, partition) => partition),
      );
    }
  }
  return new Map([...chosen].map(([topic, partitions]) => [topic, [...partitions].sort((a, b) => a - b)]));
}
