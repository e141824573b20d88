/**
 * One poll of a group's member that holds nothing open: asks the coordinator what the member has, reads it from the leaders,
 * and waits here where there is nothing to read. Records never pass through the coordinator.
 */

import type {
  PollAnswer,
  PolledPartition,
  PollRequest,
  PositionOfPartition,
} from "../../durable-objects/group/rpc.ts";
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import { visibleBatches } from "../log/committed-batches.ts";
import { decodeBatches } from "../log/decode-batch.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { GROUP_POLL_HEARTBEAT_MS, GROUP_POLL_PARTITIONS_AT_ONCE } from "../model/limits.ts";
import type { Cluster } from "./cluster.ts";
import { FetchSources } from "./fetch-sources.ts";
import type { GroupClient } from "./group-client.ts";

export interface PollOptions {
  readonly member: Omit<PollRequest, "waitMs">;
  /** Where to begin with a partition of which nothing is committed, or what is committed is not in the log any more. */
  readonly from: "earliest" | "latest";
  readonly isolation: Isolation;
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  readonly signal: AbortSignal;
}

/** Some whole batches of a partition, of which these offsets are meant. */
export interface PolledBatches {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  readonly batches: Uint8Array;
  readonly from: number;
  /** Behind the last record that is meant. */
  readonly next: number;
}

export interface PollResult {
  readonly turn: PollAnswer;
  readonly found: readonly PolledBatches[];
}

interface Positioned extends PolledPartition {
  readonly offset: number;
}

export async function pollGroup(
  cluster: Cluster,
  group: GroupClient,
  options: PollOptions,
): Promise<PollResult | Failure> {
  const over = new AbortController();
  const sources = new FetchSources(cluster, AbortSignal.any([over.signal, options.signal]));
  try {
    return await new Poll(cluster, group, options, sources).run();
  } finally {
    over.abort();
    sources.close();
  }
}

class Poll {
  readonly #cluster: Cluster;
  readonly #group: GroupClient;
  readonly #options: PollOptions;
  readonly #sources: FetchSources;
  /** What was committed of these is not in the log any more: they begin anew. */
  #moved: Positioned[] = [];

  constructor(cluster: Cluster, group: GroupClient, options: PollOptions, sources: FetchSources) {
    this.#cluster = cluster;
    this.#group = group;
    this.#options = options;
    this.#sources = sources;
  }

  async run(): Promise<PollResult | Failure> {
    const { member, maxWaitMs, signal } = this.#options;
    const deadlineMs = Date.now() + maxWaitMs;
    let { memberId } = member;
    for (;;) {
      const leftMs = Math.max(0, deadlineMs - Date.now());
      const turn = await this.#group.poll({ ...member, memberId, waitMs: leftMs });
      if (isFailure(turn)) return turn;
      memberId = turn.memberId;
      const partitions = await this.#positioned(turn);
      if (isFailure(partitions)) return partitions;
      const found = await this.#read(partitions);
      if (isFailure(found)) return found;
      const problem = await this.#settle(turn, this.#moved);
      if (problem !== undefined) return problem;
      // Who is to give something up is told at once, so that it can.
      const isWorthAnswering = found.length > 0 || turn.revoke.length > 0;
      if (isWorthAnswering || leftMs === 0 || signal.aborted) return this.#delivered(turn, found);
      await this.#wait(partitions, Math.min(leftMs, GROUP_POLL_HEARTBEAT_MS));
    }
  }

  /** The coordinator remembers what the answer brings before it is sent. */
  async #delivered(turn: PollAnswer, found: readonly PolledBatches[]): Promise<PollResult | Failure> {
    if (found.length === 0) return { turn, found };
    const { memberId, memberEpoch, pollId } = turn;
    const positions = found.map(
      ({ topicId, partition, next }): PositionOfPartition => ({ topicId, partition, offset: next }),
    );
    const problem = await this.#group.delivered({ memberId, memberEpoch, pollId, positions });
    return problem ?? { turn, found };
  }

  // ── positions ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async #positioned(turn: PollAnswer): Promise<Positioned[] | Failure> {
    const known = turn.assigned.filter(isPositioned);
    const started = await this.#start(
      turn,
      turn.assigned.filter((partition) => !isPositioned(partition)),
    );
    return isFailure(started) ? started : [...known, ...started];
  }

  async #start(turn: PollAnswer, partitions: readonly PolledPartition[]): Promise<Positioned[] | Failure> {
    const found = await mapAtOnce(partitions, GROUP_POLL_PARTITIONS_AT_ONCE, (partition) =>
      this.#offsetAt(partition),
    );
    const started: Positioned[] = [];
    for (const position of found) {
      if (isFailure(position)) return position;
      if (position !== undefined) started.push(position);
    }
    return (await this.#settle(turn, started)) ?? started;
  }

  /** A start at the latest is committed at once: what comes between this poll and the next would be passed over else. */
  async #settle(turn: PollAnswer, started: readonly Positioned[]): Promise<Failure | undefined> {
    if (this.#options.from === "earliest" || started.length === 0) return undefined;
    const committed = await this.#group.commitOffsets({
      memberId: turn.memberId,
      instanceId: null,
      generation: turn.memberEpoch,
      knowsMemberEpochs: true,
      offsets: started.map(({ topicId, topic, partition, offset }) => {
        return { topicId, topic, partition, offset, leaderEpoch: -1, metadata: "" };
      }),
    });
    return isFailure(committed) ? committed : undefined;
  }

  /** undefined: the topic is gone, which the coordinator will find out. */
  async #offsetAt(partition: PolledPartition): Promise<Positioned | Failure | undefined> {
    const timestamp = this.#options.from === "earliest" ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP;
    const { topicId, partition: index } = partition;
    const { isolation } = this.#options;
    const found = await this.#cluster.listOffsets({ id: topicId }, index, timestamp, isolation);
    if (isFailure(found)) return isGone(found) ? undefined : found;
    return { ...partition, offset: found.offset };
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Another partition comes first each time, so that a full one keeps none of the others waiting. */
  async #read(partitions: readonly Positioned[]): Promise<PolledBatches[] | Failure> {
    const first = Math.floor(Math.random() * partitions.length);
    const turned = [...partitions.slice(first), ...partitions.slice(0, first)];
    const { maxBytes, maxRecords } = this.#options;
    this.#moved = [];
    const found: PolledBatches[] = [];
    let bytesLeft = maxBytes;
    let recordsLeft = maxRecords;
    for (let at = 0; at < turned.length && bytesLeft > 0 && recordsLeft > 0; ) {
      // As many as may well have something, but what they promise together must fit.
      const some = turned.slice(at, at + (found.length === 0 ? GROUP_POLL_PARTITIONS_AT_ONCE : 1));
      at += some.length;
      const share = Math.max(1, Math.floor(bytesLeft / some.length));
      const answers = await Promise.all(some.map((partition) => this.#readOne(partition, share)));
      for (const answer of answers) {
        if (isFailure(answer)) return answer;
        if (answer === undefined || recordsLeft === 0) continue;
        // Only the first batch of all may be more than was asked for.
        if (answer.batches.length > bytesLeft && found.length > 0) continue;
        const { records, next } = cut(answer, recordsLeft);
        if (records === 0 && next === answer.from) continue;
        found.push({ ...answer, next });
        bytesLeft -= answer.batches.length;
        recordsLeft -= records;
      }
    }
    return found;
  }

  async #readOne(partition: Positioned, maxBytes: number): Promise<PolledBatches | Failure | undefined> {
    const { topicId, topic, partition: index, offset } = partition;
    const { isolation } = this.#options;
    const answer = await this.#cluster.read({ id: topicId }, index, { offset, maxBytes, isolation });
    if (isFailure(answer)) {
      if (isGone(answer)) return undefined;
      if (answer.error !== "OFFSET_OUT_OF_RANGE") return answer;
      // What is committed is no longer in the log, or the log was truncated.
      const reset = await this.#offsetAt(partition);
      if (isFailure(reset) || reset === undefined) return reset;
      this.#moved.push(reset);
      return reset.offset === offset ? undefined : this.#readOne(reset, maxBytes);
    }
    const { batches, next } = visibleBatches(answer, offset);
    return next === offset ? undefined : { topicId, topic, partition: index, batches, from: offset, next };
  }

  /** Until one of them has something, or the time is up. */
  async #wait(partitions: readonly Positioned[], waitMs: number): Promise<void> {
    const waiting = await mapAtOnce(partitions, GROUP_POLL_PARTITIONS_AT_ONCE, async (each) => {
      const topic = await this.#cluster.topic({ id: each.topicId });
      if (isFailure(topic)) return [];
      const { partition, offset } = each;
      return [{ topic, partition, isolation: this.#options.isolation, offset }];
    });
    await this.#sources.moved(waiting.flat(), waitMs);
  }
}

function isPositioned(partition: PolledPartition): partition is Positioned {
  return partition.offset !== null;
}

function isGone({ error }: Failure): boolean {
  return error === "UNKNOWN_TOPIC_ID" || error === "UNKNOWN_TOPIC_OR_PARTITION";
}

/** The first so many records, and where those behind them begin. */
function cut({ batches, from, next }: PolledBatches, maxRecords: number): { records: number; next: number } {
  let records = 0;
  for (const { offset } of decodeBatches(batches)) {
    if (offset < from) continue;
    if (records === maxRecords) return { records, next: offset };
    records++;
  }
  return { records, next };
}
