/** A member by KIP-848: one request, whose answers say what it is to have. */

import { consumerGroupHeartbeatApi } from "../../src/kafka/messages/consumer-group-heartbeat.ts";
import type { FieldsRead, FieldsWritten } from "../../src/kafka/schema.ts";
import { type GroupMember, MemberConnection, type MemberOptions, without } from "./group-member.ts";

const REBALANCE_TIMEOUT_MS = 60_000;
const LEAVE_EPOCH = -1;

type Answer = FieldsRead<typeof consumerGroupHeartbeatApi.response.fields>;
type Changes = Partial<FieldsWritten<typeof consumerGroupHeartbeatApi.request.fields>>;

export class ConsumerMember implements GroupMember {
  readonly name: string;
  readonly #options: MemberOptions;
  readonly #topicId: string;
  readonly #connection: MemberConnection;
  readonly #ended: Promise<void>;
  readonly #memberId = crypto.randomUUID();
  readonly #owned = new Set<number>();
  #epoch = 0;
  #isLeaving = false;

  static async start(options: MemberOptions, topicId: string): Promise<ConsumerMember> {
    return new ConsumerMember(options, topicId, await MemberConnection.open(options.kafkaAddress));
  }

  private constructor(options: MemberOptions, topicId: string, connection: MemberConnection) {
    this.name = options.name;
    this.#options = options;
    this.#topicId = topicId;
    this.#connection = connection;
    this.#ended = this.#run().catch((error: unknown) => options.owners.fail(error));
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#connection.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { topic, owners } = this.#options;
    let answer = await this.#heartbeat({
      rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
      subscribedTopicNames: [topic],
      topicPartitions: [],
    });
    // They do not all beat at the same time, as those that have joined together do.
    let pauseMs = Math.random() * answer.heartbeatIntervalMs;
    for (;;) {
      // What has changed is acknowledged at once.
      while (this.#reconcile(answer))
        answer = await this.#heartbeat({ topicPartitions: this.#topicPartitions });
      await this.#connection.sleep(pauseMs);
      if (this.#isLeaving) break;
      answer = await this.#heartbeat({});
      pauseMs = answer.heartbeatIntervalMs;
    }
    for (const partition of this.#owned) owners.lost(partition, this.name);
    this.#epoch = LEAVE_EPOCH;
    await this.#heartbeat({});
    this.#connection.close();
  }

  async #heartbeat(changes: Changes): Promise<Answer> {
    const answer = await this.#connection.ask(consumerGroupHeartbeatApi, 1, {
      groupId: this.#options.group,
      memberId: this.#memberId,
      memberEpoch: this.#epoch,
      ...changes,
    });
    const { errorCode, errorMessage, memberEpoch } = answer;
    if (errorCode !== 0) throw new Error(`${this.name}'s heartbeat: ${errorCode} ${errorMessage}`);
    this.#epoch = memberEpoch;
    return answer;
  }

  /** Whether there was anything to do. */
  #reconcile({ assignment }: Answer): boolean {
    if (assignment === null) return false;
    const { owners } = this.#options;
    const own = new Set(assignment.topicPartitions.flatMap(({ partitions }) => partitions));
    const revoked = without(this.#owned, own);
    const added = without(own, this.#owned);
    for (const partition of revoked) {
      this.#owned.delete(partition);
      owners.lost(partition, this.name);
    }
    for (const partition of added) {
      this.#owned.add(partition);
      owners.gained(partition, this.name);
    }
    return revoked.length + added.length > 0;
  }

  get #topicPartitions() {
    return [{ topicId: this.#topicId, partitions: [...this.#owned] }];
  }
}
