/** A group as a member reaches it over the Kafka port: the coordinator's calls, each as one request of the protocol. */

import type {
  CommitOffsetsRequest,
  CommittedOffset,
  CommittedPartition,
  ConsumerGroupHeartbeatAnswer,
  ConsumerGroupHeartbeatRequest,
  FetchOffsetsRequest,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResult,
  LeavingMember,
  LeftMember,
  SyncedGroup,
  SyncGroupRequest,
} from "../../durable-objects/group/rpc.ts";
import { consumerGroupHeartbeatApi } from "../../src/kafka/messages/consumer-group-heartbeat.ts";
import { heartbeatApi } from "../../src/kafka/messages/heartbeat.ts";
import { joinGroupApi } from "../../src/kafka/messages/join-group.ts";
import { leaveGroupApi } from "../../src/kafka/messages/leave-group.ts";
import { offsetCommitApi } from "../../src/kafka/messages/offset-commit.ts";
import { offsetFetchApi } from "../../src/kafka/messages/offset-fetch.ts";
import { syncGroupApi } from "../../src/kafka/messages/sync-group.ts";
import type { Api, FieldsRead, FieldsWritten } from "../../src/kafka/schema.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import { type GroupCalls, LostObject, type MemberRpc } from "../group/group-world.ts";
import { KafkaClient } from "./kafka-client.ts";
import { errorNameOf } from "./kafka-errors.ts";
import type { World } from "./world.ts";

/** The answer of a coordinator that cannot say what has been done. */
const UNKNOWN_OUTCOMES = new Set([
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
  "REQUEST_TIMED_OUT",
]);

/** One member's connection. */
export class WireGroup implements GroupCalls, MemberRpc {
  readonly #world: World;
  readonly #groupId: string;
  readonly #nameOf: (topicId: string) => string | undefined;
  readonly #client = new KafkaClient();
  #isClosed = false;

  /** `nameOf`: the name of a topic that is spoken of by its name; others go by their ids. */
  constructor(world: World, groupId: string, nameOf: (topicId: string) => string | undefined) {
    this.#world = world;
    this.#groupId = groupId;
    this.#nameOf = nameOf;
  }

  get nowMs(): number {
    return Date.now();
  }

  call<T>(method: (group: MemberRpc) => Promise<T>): Promise<T> {
    return method(this);
  }

  close(): void {
    this.#isClosed = true;
    this.#client.close();
  }

  async joinGroup(request: JoinGroupRequest): Promise<JoinGroupResult> {
    const { memberId, instanceId, sessionTimeoutMs, rebalanceTimeoutMs, protocolType } = request;
    const answer = await this.#world.rebalancing(() =>
      this.#ask(joinGroupApi, 9, {
        groupId: this.#groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        groupInstanceId: instanceId,
        protocolType,
        protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata })),
      }),
    );
    const refused = failureOf(answer.errorCode);
    if (refused !== undefined) return { ...refused, memberId: answer.memberId };
    return {
      memberId: answer.memberId,
      generation: answer.generationId,
      protocolType: answer.protocolType ?? "",
      protocolName: answer.protocolName ?? "",
      leader: answer.leader,
      skipAssignment: answer.skipAssignment,
      members: answer.members.map((member) => ({
        memberId: member.memberId,
        instanceId: member.groupInstanceId,
        metadata: member.metadata,
      })),
    };
  }

  async syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    const answer = await this.#world.rebalancing(() =>
      this.#ask(syncGroupApi, 5, {
        groupId: this.#groupId,
        generationId: request.generation,
        memberId: request.memberId,
        groupInstanceId: request.instanceId,
        protocolType: request.protocolType,
        protocolName: request.protocolName,
        assignments: request.assignments.map(({ memberId, assignment }) => ({ memberId, assignment })),
      }),
    );
    const { protocolType, protocolName, assignment } = answer;
    const synced = { protocolType: protocolType ?? "", protocolName: protocolName ?? "", assignment };
    return failureOf(answer.errorCode) ?? synced;
  }

  async heartbeat({ memberId, instanceId, generation }: HeartbeatRequest): Promise<Failure | null> {
    const answer = await this.#ask(heartbeatApi, 4, {
      groupId: this.#groupId,
      generationId: generation,
      memberId,
      groupInstanceId: instanceId,
    });
    return failureOf(answer.errorCode) ?? null;
  }

  async leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    const answer = await this.#ask(leaveGroupApi, 5, {
      groupId: this.#groupId,
      members: members.map(({ memberId, instanceId }) => ({ memberId, groupInstanceId: instanceId })),
    });
    return failureOf(answer.errorCode) ?? [];
  }

  async consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    const { clientId: _, clientHost: __, topicPartitions, subscribedTopicNames, ...fields } = request;
    const answer = await this.#ask(consumerGroupHeartbeatApi, 1, {
      ...fields,
      groupId: this.#groupId,
      subscribedTopicNames: subscribedTopicNames === null ? null : [...subscribedTopicNames],
      topicPartitions:
        topicPartitions?.map(({ topicId, partitions }) => ({ topicId, partitions: [...partitions] })) ?? null,
    });
    const { memberEpoch, heartbeatIntervalMs, assignment } = answer;
    const told = {
      memberId: answer.memberId ?? request.memberId,
      memberEpoch,
      heartbeatIntervalMs,
      assignment: assignment?.topicPartitions ?? null,
    };
    return failureOf(answer.errorCode) ?? told;
  }

  async commitOffsets(request: CommitOffsetsRequest): Promise<CommittedPartition[] | Failure> {
    const topics = [...Map.groupBy(request.offsets, ({ topicId }) => topicId)].map(([topicId, offsets]) => ({
      name: this.#nameOf(topicId) ?? "",
      topicId,
      partitions: offsets.map(({ partition, offset, metadata }) => ({
        partitionIndex: partition,
        committedOffset: offset,
        committedMetadata: metadata,
      })),
    }));
    const answer = await this.#ask(offsetCommitApi, this.#goesByName(topics) ? 8 : 10, {
      groupId: this.#groupId,
      generationIdOrMemberEpoch: request.generation,
      memberId: request.memberId,
      groupInstanceId: request.instanceId,
      topics,
    });
    const codes = answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    return failureOf(codes.find((code) => code !== 0) ?? 0) ?? [];
  }

  async fetchOffsets({ topics }: FetchOffsetsRequest): Promise<CommittedOffset[] | Failure> {
    const asked = (topics ?? []).map(({ topicId, partitions }) => ({
      name: this.#nameOf(topicId) ?? "",
      topicId,
      partitionIndexes: [...partitions],
    }));
    const groups = [{ groupId: this.#groupId, topics: asked }];
    const answer = await this.#ask(offsetFetchApi, this.#goesByName(asked) ? 8 : 10, { groups });
    const [group] = answer.groups;
    if (group === undefined) throw new Error("nothing was said of the group");
    const offsets = group.topics.flatMap(({ name, topicId, partitions }) =>
      partitions
        .filter(({ committedOffset }) => committedOffset >= 0)
        .map(({ partitionIndex, committedOffset, metadata }) => ({
          topicId: asked.find((topic) => topic.name !== "" && topic.name === name)?.topicId ?? topicId,
          topic: name,
          partition: partitionIndex,
          offset: committedOffset,
          leaderEpoch: -1,
          metadata: metadata ?? "",
          committedAtMs: 0,
        })),
    );
    return failureOf(group.errorCode) ?? offsets;
  }

  #goesByName(topics: readonly { readonly name: string }[]): boolean {
    return topics.every(({ name }) => name !== "");
  }

  async #ask<A extends Api>(
    message: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    const api = await this.#world.up();
    if (this.#isClosed) throw new LostObject();
    const answer = await this.#client.ask(api, message, version, request);
    if (answer.kind === "ok") return answer.value;
    if (this.#isClosed) throw new LostObject();
    await this.#world.refused(answer, `${message.name} to ${this.#groupId}`);
    throw new LostObject();
  }
}

function failureOf(errorCode: number): Failure | undefined {
  if (errorCode === 0) return undefined;
  const name = errorNameOf(errorCode);
  if (UNKNOWN_OUTCOMES.has(name)) throw new LostObject();
  return failure(name);
}
