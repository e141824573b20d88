import { EdgelogError, isErrorName } from "../../model/errors.ts";
import { STOP_MEMBERS } from "../../model/groups.ts";
import { GROUP_DESCRIBED_PARTITIONS_MAX, HTTP_OFFSETS_PER_REQUEST_MAX } from "../../model/limits.ts";
import { Answer } from "../answer.ts";
import { type OptionNames, requireKnown } from "../known-options.ts";
import { isRetriable } from "../retry.ts";
import { CALL_OPTIONS, type CallOptions, callOptions, type Topics } from "../topics.ts";
import { path, type Transport } from "../transport.ts";
import {
  type CommittedOffset,
  type GroupDescription,
  type GroupListing,
  type GroupPartition,
  type OffsetToSet,
  parseDescription,
  parseListing,
  parseOffset,
} from "./descriptions.ts";
import { type OffsetReset, planReset, type ResetOffsetsOptions, requireReset } from "./reset-offsets.ts";

export interface ListGroupsOptions extends CallOptions {
  /** Only groups in this state, such as `Stable`; one that Kafka does not have is INVALID_REQUEST. */
  readonly state?: string;
  /** Only groups of this type: `classic`, `consumer`. */
  readonly type?: string;
}

export interface DescribeGroupOptions extends CallOptions {
  /** Partitions to tell of, at most; the leader of each is asked. 0: only state and members. Default 10,000. */
  readonly maxPartitions?: number;
}

const LIST_OPTIONS: OptionNames<ListGroupsOptions> = { ...CALL_OPTIONS, state: true, type: true };
const DESCRIBE_OPTIONS: OptionNames<DescribeGroupOptions> = { ...CALL_OPTIONS, maxPartitions: true };
const PARTITIONS_DEFAULT = 10_000;

/**
 * The consumer groups of a cluster; `client.groups`. What fails retriably is tried again for as long as the client's
 * `requestTimeoutMs` allows.
 */
export class Groups {
  readonly #transport: Transport;
  readonly #topics: Topics;

  /** @internal */
  constructor(transport: Transport, topics: Topics) {
    this.#transport = transport;
    this.#topics = topics;
  }

  /** All groups, by id; fetched page by page as they are read. */
  async *list(options: ListGroupsOptions = {}): AsyncGenerator<GroupListing, void, undefined> {
    requireKnown(options, LIST_OPTIONS);
    const { state, type, signal } = options;
    for (let after: string | null | undefined; after !== null; ) {
      const answer: Answer = await this.#get("/v1/groups", { after, state, type }, signal);
      yield* answer.list("groups", parseListing);
      after = answer.textOrNull("next_after");
    }
  }

  /** State, members, and how far it lags in every partition. Throws GROUP_ID_NOT_FOUND. */
  async describe(group: string, options: DescribeGroupOptions = {}): Promise<GroupDescription> {
    requireKnown(options, DESCRIBE_OPTIONS);
    const { maxPartitions = PARTITIONS_DEFAULT, signal } = options;
    const partitions: GroupPartition[] = [];
    let lagRecords = 0;
    let lagMs: number | null = null;
    for (let after: string | null | undefined; ; ) {
      const limit = Math.min(maxPartitions - partitions.length, GROUP_DESCRIBED_PARTITIONS_MAX);
      const answer: Answer = await this.#get(path`/v1/groups/${group}`, { after, limit }, signal);
      const page = parseDescription(answer);
      partitions.push(...page.partitions);
      lagRecords += page.lagRecords;
      if (page.lagMs !== null) lagMs = Math.max(lagMs ?? 0, page.lagMs);
      after = answer.textOrNull("next_after");
      if (after === null || partitions.length >= maxPartitions) {
        return { ...page, partitions, lagRecords, lagMs, isPartial: after !== null };
      }
    }
  }

  /** Deletes a group and its offsets. Throws GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP while it has members. */
  async delete(group: string, options: CallOptions = {}): Promise<void> {
    requireKnown(options, CALL_OPTIONS);
    const { signal } = options;
    let isLost = false;
    await this.#transport.repeat(async () => {
      try {
        await this.#transport.call({ method: "DELETE", path: path`/v1/groups/${group}`, signal });
      } catch (error) {
        if (isLost && isNotFound(error)) return;
        isLost ||= isRetriable(error);
        throw error;
      }
    }, signal);
  }

  /** Every committed offset, by topic name and partition. Throws GROUP_ID_NOT_FOUND. */
  async offsets(group: string, options: CallOptions = {}): Promise<CommittedOffset[]> {
    requireKnown(options, CALL_OPTIONS);
    const offsets: CommittedOffset[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const answer: Answer = await this.#get(path`/v1/groups/${group}/offsets`, { after }, options.signal);
      offsets.push(...answer.list("offsets", parseOffset));
      after = answer.textOrNull("next_after");
    }
    return offsets;
  }

  /**
   * Sets offsets of a group that has no members; one that does not exist is made. Up to 10,000 offsets are set in one
   * transaction. Throws NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION.
   */
  async setOffsets(group: string, offsets: readonly OffsetToSet[], options: CallOptions = {}): Promise<void> {
    requireKnown(options, CALL_OPTIONS);
    for (let at = 0; at < offsets.length; at += HTTP_OFFSETS_PER_REQUEST_MAX) {
      const some = offsets.slice(at, at + HTTP_OFFSETS_PER_REQUEST_MAX);
      const call = {
        method: "PUT",
        path: path`/v1/groups/${group}/offsets`,
        json: {
          offsets: some.map(({ topic, partition, offset, leaderEpoch, metadata }) => ({
            ...{ topic, partition, offset, metadata },
            leader_epoch: leaderEpoch,
          })),
        },
        signal: options.signal,
      } as const;
      const answer = new Answer(await this.#transport.callRepeatedly(call), `PUT ${call.path}`);
      for (const error of answer.list("offsets", (offset) => offset.object("error"))) {
        if (error === null) continue;
        const code = error.text("code");
        throw new EdgelogError(isErrorName(code) ? code : "UNKNOWN_SERVER_ERROR", error.text("message"));
      }
    }
  }

  /**
   * Deletes the committed offsets of a topic, or of one of its partitions. Throws GROUP_ID_NOT_FOUND,
   * GROUP_SUBSCRIBED_TO_TOPIC, UNKNOWN_TOPIC_OR_PARTITION.
   */
  async deleteOffsets(
    group: string,
    topic: string,
    options: CallOptions & { readonly partition?: number } = {},
  ): Promise<void> {
    requireKnown(options, { ...CALL_OPTIONS, partition: true });
    const { partition, signal } = options;
    const query = { topic, partition };
    await this.#transport.callRepeatedly({
      method: "DELETE",
      path: path`/v1/groups/${group}/offsets`,
      query,
      signal,
    });
  }

  /**
   * Moves a group that has no members, by the rules of kafka-consumer-groups; one that does not exist is made. Answers
   * where each partition was and is now (with `dryRun`, would be). Throws NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION.
   *
   * @example
   * await client.groups.resetOffsets("billing", { to: { timestamp: Date.now() - 3_600_000 }, topics: ["orders"] });
   */
  async resetOffsets(group: string, options: ResetOffsetsOptions): Promise<OffsetReset[]> {
    requireReset(options);
    const { dryRun = false } = options;
    const call = callOptions(options);
    const plan = await planReset(this.#topics, await this.#offsetsIfIdle(group, call), options);
    if (!dryRun) await this.setOffsets(group, plan, call);
    return plan;
  }

  async #offsetsIfIdle(group: string, options: CallOptions): Promise<CommittedOffset[]> {
    try {
      const { state, members } = await this.describe(group, { ...options, maxPartitions: 0 });
      if (members.length > 0 || state !== "Empty") {
        throw new EdgelogError(
          "NON_EMPTY_GROUP",
          `group ${JSON.stringify(group)} is ${state} and has ${members.length} member(s); ${STOP_MEMBERS}`,
        );
      }
      return await this.offsets(group, options);
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }

  async #get(
    resource: string,
    query: Readonly<Record<string, string | number | null | undefined>>,
    signal: CallOptions["signal"],
  ): Promise<Answer> {
    const given = Object.fromEntries(
      Object.entries(query).map(([name, value]) => [name, value ?? undefined]),
    );
    const answer = await this.#transport.callRepeatedly({ path: resource, query: given, signal });
    return new Answer(answer, `GET ${resource}`);
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof EdgelogError && error.code === "GROUP_ID_NOT_FOUND";
}
