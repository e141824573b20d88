/** A member by the classic protocol: eager (everything is given up for every rebalance) or cooperative (KIP-429). */

import {
  readConsumerAssignment,
  readSubscription,
  writeConsumerAssignment,
} from "../../durable-objects/group/consumer-protocol.ts";
import { writeMessage } from "../../src/kafka/codec.ts";
import { consumerSubscription } from "../../src/kafka/messages/consumer-protocol.ts";
import { heartbeatApi } from "../../src/kafka/messages/heartbeat.ts";
import { joinGroupApi } from "../../src/kafka/messages/join-group.ts";
import { leaveGroupApi } from "../../src/kafka/messages/leave-group.ts";
import { syncGroupApi } from "../../src/kafka/messages/sync-group.ts";
import type { FieldsRead } from "../../src/kafka/schema.ts";
import { WireWriter } from "../../src/kafka/wire-writer.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { errorRow } from "../../src/model/errors.ts";
import { type GroupMember, MemberConnection, type MemberOptions, without } from "./group-member.ts";
import { assignRange, assignSticky } from "./sticky.ts";

/** As the clients have it by default that speak this protocol: Java's, librdkafka, kafkajs. */
export const CLASSIC_HEARTBEAT_MS = 3_000;
const SESSION_TIMEOUT_MS = 45_000;
const REBALANCE_TIMEOUT_MS = 60_000;
const SUBSCRIPTION_VERSION = 1;
const PROTOCOL_TYPE = "consumer";
const REBALANCE_IN_PROGRESS = errorRow("REBALANCE_IN_PROGRESS").code;
const MEMBER_ID_REQUIRED = errorRow("MEMBER_ID_REQUIRED").code;

type Joined = FieldsRead<typeof joinGroupApi.response.fields>;

export class ClassicMember implements GroupMember {
  readonly name: string;
  readonly #options: MemberOptions;
  readonly #isCooperative: boolean;
  readonly #connection: MemberConnection;
  readonly #ended: Promise<void>;
  readonly #owned = new Set<number>();
  #memberId = "";
  #generation = -1;
  #isLeaving = false;

  static async start(options: MemberOptions, isCooperative: boolean): Promise<ClassicMember> {
    return new ClassicMember(options, isCooperative, await MemberConnection.open(options.kafkaAddress));
  }

  private constructor(options: MemberOptions, isCooperative: boolean, connection: MemberConnection) {
    this.name = options.name;
    this.#options = options;
    this.#isCooperative = isCooperative;
    this.#connection = connection;
    this.#ended = this.#run().catch((error: unknown) => options.owners.fail(error));
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#connection.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { group } = this.#options;
    await this.#rebalance();
    // They do not all beat at the same time, as those that a rebalance has just let go do.
    let pauseMs = Math.random() * CLASSIC_HEARTBEAT_MS;
    for (;;) {
      await this.#connection.sleep(pauseMs);
      if (this.#isLeaving) break;
      pauseMs = CLASSIC_HEARTBEAT_MS;
      const { errorCode } = await this.#connection.ask(heartbeatApi, 3, {
        groupId: group,
        generationId: this.#generation,
        memberId: this.#memberId,
      });
      if (errorCode === REBALANCE_IN_PROGRESS) {
        await this.#rebalance();
        pauseMs = Math.random() * CLASSIC_HEARTBEAT_MS;
      } else if (errorCode !== 0) throw new Error(`${this.name}'s Heartbeat was answered with ${errorCode}`);
    }
    this.#lose([...this.#owned]);
    await this.#connection.ask(leaveGroupApi, 3, { groupId: group, members: [{ memberId: this.#memberId }] });
    this.#connection.close();
  }

  async #rebalance(): Promise<void> {
    for (;;) {
      if (!this.#isCooperative) this.#lose([...this.#owned]);
      const joined = await this.#join();
      this.#generation = joined.generationId;
      const { errorCode, assignment } = await this.#connection.ask(syncGroupApi, 3, {
        groupId: this.#options.group,
        generationId: this.#generation,
        memberId: this.#memberId,
        assignments: joined.leader === this.#memberId ? this.#assign(joined) : [],
      });
      if (errorCode === REBALANCE_IN_PROGRESS) continue;
      if (errorCode !== 0) throw new Error(`${this.name}'s SyncGroup was answered with ${errorCode}`);
      const [assigned] = readConsumerAssignment(assignment) ?? [];
      const own = new Set(assigned?.partitions);
      const revoked = without(this.#owned, own);
      this.#lose(revoked);
      for (const partition of without(own, this.#owned)) {
        this.#owned.add(partition);
        this.#options.owners.gained(partition, this.name);
      }
      if (revoked.length === 0) return;
    }
  }

  async #join(): Promise<Joined> {
    for (;;) {
      const joined = await this.#connection.ask(joinGroupApi, 5, {
        groupId: this.#options.group,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        memberId: this.#memberId,
        protocolType: PROTOCOL_TYPE,
        protocols: [
          { name: this.#isCooperative ? "cooperative-sticky" : "range", metadata: this.#subscription() },
        ],
      });
      this.#memberId = joined.memberId;
      if (joined.errorCode === 0) return joined;
      if (joined.errorCode !== MEMBER_ID_REQUIRED) {
        throw new Error(`${this.name}'s JoinGroup was answered with ${joined.errorCode}`);
      }
    }
  }

  #subscription(): Uint8Array {
    const { topic } = this.#options;
    const writer = new WireWriter();
    writer.int16(SUBSCRIPTION_VERSION);
    writeMessage(consumerSubscription, SUBSCRIPTION_VERSION, writer, {
      topics: [topic],
      ownedPartitions: [{ topic, partitions: [...this.#owned] }],
    });
    return concatBytes(writer.finish());
  }

  /** As the group's leader. */
  #assign({ members }: Joined): { memberId: string; assignment: Uint8Array }[] {
    const { topic, partitions } = this.#options;
    const owned = members.map(({ memberId, metadata }) => ({
      memberId,
      partitions: readSubscription(metadata)?.ownedPartitions[0]?.partitions ?? [],
    }));
    const assignment = this.#isCooperative
      ? assignSticky(owned, partitions)
      : assignRange(
          owned.map(({ memberId }) => memberId),
          partitions,
        );
    return [...assignment].map(([memberId, own]) => ({
      memberId,
      assignment: writeConsumerAssignment(SUBSCRIPTION_VERSION, [{ topic, partitions: own }]),
    }));
  }

  #lose(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.#owned.delete(partition);
      this.#options.owners.lost(partition, this.name);
    }
  }
}
