import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/env.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { letOthersIn } from "../../src/model/event-loop.ts";
import { parsePartitionObjectName, partitionObjectName } from "../../src/model/ids.ts";
import { ALARM_AHEAD_MS_MAX, ALARM_RETRY_MS } from "../../src/model/limits.ts";
import { SUBSCRIBE_PATH } from "../../src/subscribe/leader-request.ts";
import { refusal } from "../../src/subscribe/refusal.ts";
import { partitionObjectPrefix } from "../../src/tier/segment-object.ts";
import { CONTROLLER_NAME } from "../controller/rpc.ts";
import { Housekeeping } from "./housekeeping.ts";
import { PartitionLeader } from "./leader.ts";
import { LogStore } from "./log-store.ts";
import { PartitionSession } from "./partition-session.ts";
import { IDENTITY } from "./partition-topic.ts";
import { platformStorage } from "./platform-storage.ts";
import type {
  ActiveProducer,
  AppendRequest,
  AppendResult,
  DeleteRecordsRequest,
  DeleteRecordsResult,
  LagAnswer,
  LagRequest,
  ListOffsetsRequest,
  ListOffsetsResult,
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResult,
  PartitionDescription,
  PartitionRequest,
  PartitionRpc,
  ReadRequest,
  ReadResult,
  WriteTransactionMarkerRequest,
} from "./rpc.ts";
import type { Clock, LogStorage } from "./storage.ts";
import { subscriberLog } from "./subscriber-log.ts";
import { hibernatableSockets } from "./subscriber-sockets.ts";
import { Subscribers } from "./subscribers.ts";
import { isolateTailCache } from "./tail-cache.ts";

const CLOCK: Clock = { now: () => Date.now() };

/**
 * The Durable Object of one partition: its leader, under the name `<topicId>/<partition>/<placement>`. A thin shell:
 * RPC methods, the alarm and sockets over plain classes.
 */
export class PartitionLog extends DurableObject<Env> implements PartitionRpc {
  readonly #leader: PartitionLeader;
  readonly #housekeeping: Housekeeping;
  readonly #subscribers: Subscribers;
  /** The alarm as last set, if it has not gone off; undefined: not known. */
  #alarmAtMs: number | undefined;
  #alarms: Promise<void> = Promise.resolve();
  #alarmRun: Promise<void> | undefined;
  /** What has become due while a run is under way, which may be past it already. */
  #dueAfterRunMs = Number.POSITIVE_INFINITY;
  #alarmFailures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const storage = platformStorage(ctx);
    const name = ctx.id.name ?? new LogStore(storage).setting(IDENTITY);
    const identity = name === undefined ? undefined : parsePartitionObjectName(name);
    if (identity === undefined) throw new Error(`a partition object cannot be named ${JSON.stringify(name)}`);
    this.#leader = new PartitionLeader(identity, {
      storage,
      clock: CLOCK,
      tailCache: isolateTailCache,
      openPartition: async (opened) => undisposed(await this.#controller().openPartition(opened)),
      topicById: async (topicId) => undisposed(await this.#controller().topicById(topicId)),
      joinTransaction: async (transactionalId, joining) =>
        undisposed(await this.#coordinator(transactionalId).join(joining)),
      nextTurn: letOthersIn,
      logEndMoved: () => this.#subscribers.logEndMoved(),
      logStartMoved: () => this.#subscribers.logStartMoved(),
      housekeepingDue: (atMs) => this.#wakeBy(storage, atMs),
    });
    this.#subscribers = new Subscribers(subscriberLog(this.#leader), hibernatableSockets(ctx));
    this.#housekeeping = new Housekeeping(this.#leader, env.SEGMENTS, storage, CLOCK);
    void this.#restoreAlarm();
  }

  append(request: AppendRequest): Promise<AppendResult | Failure> {
    return this.#leader.append(request);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#leader.read(request);
  }

  listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsResult> {
    return this.#leader.listOffsets(request);
  }

  deleteRecords(request: DeleteRecordsRequest): Promise<DeleteRecordsResult | Failure> {
    return this.#leader.deleteRecords(request);
  }

  offsetForLeaderEpoch(request: OffsetForLeaderEpochRequest): Promise<OffsetForLeaderEpochResult | Failure> {
    return this.#leader.offsetForLeaderEpoch(request);
  }

  async describe(request: PartitionRequest): Promise<PartitionDescription | Failure> {
    const description = await this.#leader.describe(request);
    return isFailure(description) ? description : { ...description, subscribers: this.#subscribers.count() };
  }

  lag(request: LagRequest): Promise<LagAnswer | Failure> {
    return this.#leader.lag(request);
  }

  activeProducers(request: PartitionRequest): Promise<ActiveProducer[] | Failure> {
    return this.#leader.activeProducers(request);
  }

  writeTransactionMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null> {
    return this.#leader.writeTransactionMarker(request);
  }

  session(): PartitionSession {
    return new PartitionSession(this);
  }

  /** WebSockets only: subscriptions and notices, see src/subscribe/leader-request.ts. */
  override async fetch(request: Request): Promise<Response> {
    // A subscriber stays for long: only an opened partition is told when its topic is deleted.
    const opens = new URL(request.url).pathname === SUBSCRIBE_PATH;
    const refused = (opens ? await this.#leader.open() : undefined) ?? this.#leader.confirmLeadership();
    return refused === undefined ? this.#subscribers.accept(request) : refusal(refused);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    this.#subscribers.message(socket, message);
  }

  override webSocketClose(socket: WebSocket): void {
    this.#subscribers.close(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.#subscribers.close(socket);
  }

  configure(topicVersion: number): Promise<void> {
    return this.#leader.refreshTopic(topicVersion);
  }

  async retire(): Promise<void> {
    this.#leader.retire();
    this.#subscribers.closeAll(failure("UNKNOWN_TOPIC_ID", "the topic has been deleted"));
  }

  async destroy(): Promise<boolean> {
    await this.retire();
    try {
      await this.#alarmRun;
      const mayReturnUntilMs = this.#housekeeping.abandonedPutsEndMs();
      await deleteObjects(this.env.SEGMENTS, partitionObjectPrefix(this.#leader.identity));
      if (CLOCK.now() < mayReturnUntilMs) return false;
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      return true;
    } catch (error) {
      console.error(`partition ${this.#name}: could not be removed yet: ${String(error)}`);
      return false;
    }
  }

  /** One at a time, as the platform has it, whoever calls. */
  override alarm(): Promise<void> {
    const run = () => this.#runAlarm();
    this.#alarms = this.#alarms.then(run, run);
    return this.#alarms;
  }

  /** Never throws: the platform gives up an alarm after six failed tries, so it sets its next time first and backs off by itself. */
  async #runAlarm(): Promise<void> {
    if (!this.#leader.isOpen || this.#leader.isRetired) return;
    const retryMs = Math.min(ALARM_RETRY_MS.first * 2 ** this.#alarmFailures, ALARM_RETRY_MS.most);
    this.#alarmAtMs = CLOCK.now() + retryMs;
    await this.ctx.storage.setAlarm(this.#alarmAtMs);
    this.#dueAfterRunMs = Number.POSITIVE_INFINITY;
    this.#alarmRun = this.#housekeeping.run();
    try {
      await this.#alarmRun;
      this.#alarmFailures = 0;
    } catch (error) {
      this.#alarmFailures++;
      console.error(`partition ${this.#name}: housekeeping will be tried again: ${String(error)}`);
      return;
    } finally {
      this.#alarmRun = undefined;
    }
    if (this.#leader.isRetired) return;
    const dueMs = Math.min(this.#housekeeping.nextDueMs() ?? Number.POSITIVE_INFINITY, this.#dueAfterRunMs);
    if (Number.isFinite(dueMs)) {
      this.#alarmAtMs = alarmTimeMs(dueMs, ALARM_RETRY_MS.soonest);
      await this.ctx.storage.setAlarm(this.#alarmAtMs);
    } else {
      this.#alarmAtMs = undefined;
      await this.ctx.storage.deleteAlarm();
    }
  }

  /** A run that was due when the object died is due still. */
  async #restoreAlarm(): Promise<void> {
    this.#alarmAtMs ??= (await this.ctx.storage.getAlarm()) ?? undefined;
    const nextMs = this.#housekeeping.nextDueMs();
    if (nextMs === undefined || this.#alarmAtMs !== undefined) return;
    await this.ctx.storage.setAlarm(alarmTimeMs(nextMs));
  }

  #wakeBy(storage: LogStorage, atMs: number): void {
    if (!Number.isFinite(atMs)) return;
    if (this.#alarmRun !== undefined) {
      this.#dueAfterRunMs = Math.min(this.#dueAfterRunMs, atMs);
      return;
    }
    const isSet = this.#alarmAtMs !== undefined && this.#alarmAtMs > CLOCK.now() && this.#alarmAtMs <= atMs;
    if (isSet) return;
    // One that is due and has not gone off yet must not be put off by what is due later.
    this.#alarmAtMs = alarmTimeMs(Math.min(atMs, this.#alarmAtMs ?? atMs));
    storage.setAlarm(this.#alarmAtMs);
  }

  /** The context does not tell it in every event. */
  get #name(): string {
    return partitionObjectName(this.#leader.identity);
  }

  #coordinator(transactionalId: string) {
    return this.env.TRANSACTION.get(this.env.TRANSACTION.idFromName(transactionalId));
  }

  #controller() {
    return this.env.CONTROLLER.get(this.env.CONTROLLER.idFromName(CONTROLLER_NAME));
  }
}

/**
 * Without the `Symbol.dispose` that the platform gives to what an RPC returns. Passed on in an answer of one's own, that
 * would keep this object awake until whoever asked disposes of the answer, which for a plain value nobody does.
 */
function undisposed<T extends object>(answer: T): T {
  return { ...answer };
}

/** No sooner than in `soonestMs`, and no later than the platform takes. */
function alarmTimeMs(dueMs: number, soonestMs = 0): number {
  const nowMs = CLOCK.now();
  return Math.min(Math.max(dueMs, nowMs + soonestMs), nowMs + ALARM_AHEAD_MS_MAX);
}

async function deleteObjects(bucket: R2Bucket, prefix: string): Promise<void> {
  for (;;) {
    const { objects, truncated } = await bucket.list({ prefix, limit: 1_000 });
    if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
    if (!truncated) return;
    await letOthersIn();
  }
}
