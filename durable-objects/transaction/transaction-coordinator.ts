import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/env.ts";
import { type Failure, isFailure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { ALARM_RETRY_MS, TOPICS_PER_LOOK_UP_MAX } from "../../src/model/limits.ts";
import { partitionAddress } from "../../src/model/partition-address.ts";
import type { Topic } from "../../src/model/topic.ts";
import { CONTROLLER_NAME } from "../controller/rpc.ts";
import { platformStorage } from "../partition/platform-storage.ts";
import type { Clock } from "../partition/storage.ts";
import { Coordinator } from "./coordinator.ts";
import type {
  AddGroupRequest,
  AddPartitionsRequest,
  EndTransactionRequest,
  InitProducerIdRequest,
  JoinedTransaction,
  JoinTransactionRequest,
  ProducerIdentity,
  TransactionDescription,
  TransactionOutcome,
  TransactionRpc,
} from "./rpc.ts";
import { TransactionStore } from "./transaction-store.ts";

const CLOCK: Clock = { now: () => Date.now() };

/**
 * The Durable Object of one transactional id, which is its name. A thin shell: RPC methods and the alarm over plain
 * classes.
 */
export class TransactionCoordinator extends DurableObject<Env> implements TransactionRpc {
  readonly #coordinator: Coordinator;
  /** As last known; a partition that says otherwise has them asked for again. */
  readonly #topics = new Map<TopicId, Topic>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const storage = platformStorage(ctx);
    const transactionalId = ctx.id.name ?? new TransactionStore(storage).name() ?? "";
    this.#coordinator = new Coordinator(transactionalId, {
      storage,
      clock: CLOCK,
      openTransactionalId: () => this.#controller().openTransactionalId(transactionalId),
      closeTransactionalId: () => this.#controller().closeTransactionalId(transactionalId),
      tellPartition: (topicId, partition, outcome) => this.#tellPartition(topicId, partition, outcome),
      tellGroup: (groupId, outcome) =>
        env.GROUP.get(env.GROUP.idFromName(groupId)).writeTransactionMarker(outcome),
    });
    // A run that was due when the object died is due still.
    void ctx.blockConcurrencyWhile(async () => {
      this.#coordinator.timers.rearm(await ctx.storage.getAlarm());
    });
  }

  initProducerId(request: InitProducerIdRequest): Promise<ProducerIdentity | Failure> {
    return this.#coordinator.initProducerId(request);
  }

  addPartitions(request: AddPartitionsRequest): Promise<Failure | null> {
    return this.#coordinator.addPartitions(request);
  }

  addGroup(request: AddGroupRequest): Promise<Failure | null> {
    return this.#coordinator.addGroup(request);
  }

  join(request: JoinTransactionRequest): Promise<JoinedTransaction | Failure> {
    return this.#coordinator.join(request);
  }

  endTransaction(request: EndTransactionRequest): Promise<ProducerIdentity | Failure> {
    return this.#coordinator.endTransaction(request);
  }

  describe(): Promise<TransactionDescription | Failure> {
    return this.#coordinator.describe();
  }

  /** Never throws: the platform gives up an alarm that has failed six times. */
  override async alarm(): Promise<void> {
    void this.ctx.storage.setAlarm(CLOCK.now() + ALARM_RETRY_MS.most);
    try {
      await this.#coordinator.runDue();
    } catch (error) {
      const name = JSON.stringify(this.#coordinator.transactionalId);
      console.error(`transactional id ${name}: timers will be looked at again:`, error);
      return;
    }
    if (this.#coordinator.timers.nextAtMs === undefined) void this.ctx.storage.deleteAlarm();
    this.#coordinator.timers.rearm(null);
  }

  async #tellPartition(
    topicId: TopicId,
    partition: number,
    outcome: TransactionOutcome,
  ): Promise<Failure | null> {
    const topic = this.#topics.get(topicId) ?? (await this.#controller().topicById(topicId));
    if (isFailure(topic)) return topic;
    if (this.#topics.size >= TOPICS_PER_LOOK_UP_MAX) this.#topics.clear();
    this.#topics.set(topicId, topic);
    const { name, jurisdiction, locationHint } = partitionAddress(topic, partition);
    const { PARTITION } = this.env;
    const namespace = jurisdiction === undefined ? PARTITION : PARTITION.jurisdiction(jurisdiction);
    const leader = namespace.get(
      namespace.idFromName(name),
      locationHint === undefined ? {} : { locationHint },
    );
    const answer = await leader.writeTransactionMarker({ topicVersion: topic.version, ...outcome });
    // Moved: the next try asks where to.
    if (answer !== null) this.#topics.delete(topicId);
    return answer;
  }

  #controller() {
    return this.env.CONTROLLER.get(this.env.CONTROLLER.idFromName(CONTROLLER_NAME));
  }
}
