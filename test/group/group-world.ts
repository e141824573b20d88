import { Coordinator } from "../../durable-objects/group/coordinator.ts";
import type { GroupRpc } from "../../durable-objects/group/rpc.ts";
import type { GroupSettings } from "../../durable-objects/group/settings.ts";
import type { LogStorage } from "../../durable-objects/partition/storage.ts";
import { isFailure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { TOPICS_PER_LOOK_UP_MAX } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";
import { type SimulatedSocket, SimulatedSockets } from "./simulated-sockets.ts";
import { SimulatedStorage } from "./simulated-storage.ts";
import { SimulatedTransactions } from "./simulated-transactions.ts";

export const GROUP_ID = "group";

export const SETTINGS: GroupSettings = {
  initialRebalanceDelayMs: 0,
  membersMax: 100,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5_000,
  offsetsRetentionMs: 7 * 24 * 3_600_000,
  offsetsRetentionCheckMs: 600_000,
  socketGraceMs: 10_000,
  socketSilenceMs: 150_000,
  socketLookMs: { awake: 15_000, asleep: 900_000 },
};

/** Enough for a call that asks the Controller several times. */
const TURNS_TO_SETTLE = 8;

/** What a call comes to whose object was lost before it could answer. */
export class LostObject extends Error {
  constructor() {
    super("the object was lost");
  }
}

/** What members ask of their coordinator. */
export type MemberRpc = Pick<
  GroupRpc,
  | "joinGroup"
  | "syncGroup"
  | "heartbeat"
  | "leaveGroup"
  | "consumerGroupHeartbeat"
  | "commitOffsets"
  | "fetchOffsets"
>;

/** What a client needs of the world around it. */
export interface GroupCalls {
  readonly nowMs: number;
  /** The answer when it is durable; rejects with {@link LostObject}. */
  call<T>(method: (group: MemberRpc) => Promise<T>): Promise<T>;
}

interface GatedCall {
  readonly settle: () => void;
  readonly lose: () => void;
}

/**
 * One group and the world around it: a clock that only the test moves, a Controller, and the platform, which holds every
 * answer until what was written before it is durable and may lose or evict the object.
 */
export class GroupWorld implements GroupCalls {
  readonly storage = new SimulatedStorage();
  readonly settings: GroupSettings;
  readonly transactions = new SimulatedTransactions(GROUP_ID);
  readonly registered = new Set<string>();
  readonly deletedTopics = new Set<TopicId>();
  topicsVersion = 0;
  /** How often the Controller was asked. */
  versionLookUps = 0;
  topicLookUps = 0;
  readonly #topics = new Map<string, Topic>();
  isControllerDown = false;
  /** Which topics exist is not answered before this. */
  topicLookUpsHeld: Promise<void> | undefined;
  /** A transaction that failed: on the platform it would have thrown the object away, again and again. */
  failure: unknown;
  nowMs = 1_000_000;
  coordinator: Coordinator;
  #life = 0;
  #ids = 0;
  readonly #unanswered = new Set<GatedCall>();
  #gated: GatedCall[] = [];
  readonly sockets = new SimulatedSockets(
    (settle) => this.#gated.push({ settle, lose: () => {} }),
    () => this.nowMs,
  );
  #ends = this.sockets.forLife(() => false);

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = { ...SETTINGS, ...settings };
    this.coordinator = this.#wake();
  }

  /** Creates a topic or gives it more partitions. */
  setTopic(name: string, partitions: number, id: TopicId = name.padEnd(22, "_")): TopicId {
    this.#topics.set(name, { id, name, version: 1, partitions, configs: {}, createdAtMs: 0, placements: {} });
    this.topicsVersion++;
    return id;
  }

  deleteTopic(name: string): void {
    const topic = this.#topics.get(name);
    if (topic === undefined) return;
    this.#topics.delete(name);
    this.deletedTopics.add(topic.id);
    this.topicsVersion++;
  }

  /** Calls whose answers are still to come. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** The answer when it is durable; rejects with {@link LostObject}. */
  call<T>(method: (coordinator: Coordinator) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const life = this.#life;
    const begun: GatedCall = { settle: () => {}, lose: () => reject(new LostObject()) };
    this.#unanswered.add(begun);
    const gate = (settle: () => void) => {
      if (life !== this.#life) return;
      this.#unanswered.delete(begun);
      this.#gated.push({ settle, lose: begun.lose });
    };
    method(this.coordinator).then(
      (answer) => gate(() => resolve(structuredClone(answer))),
      // Whatever the exception says, a front end takes it for a lost object.
      () => gate(begun.lose),
    );
    return promise;
  }

  /** A call and whatever it takes for an answer that needs no time to pass. */
  async ask<T>(method: (coordinator: Coordinator) => Promise<T>): Promise<T> {
    const answer = this.call(method);
    await this.settle();
    return answer;
  }

  /** A new socket of a member; undefined if the coordinator takes no more. */
  connect(): SimulatedSocket | undefined {
    const accepted = this.coordinator.sockets.accept({ subprotocol: undefined, clientHost: "/127.0.0.1" });
    return isFailure(accepted) ? undefined : this.sockets.last;
  }

  /** The member sends it; a coordinator that sleeps wakes. */
  sendTo(socket: SimulatedSocket, text: string): void {
    if (!socket.isOpen || socket.isDeaf) return;
    const end = this.#ends.endOf(socket);
    this.call((group) => group.sockets.message(end, text)).catch((error) => {
      if (!(error instanceof LostObject)) throw error;
    });
  }

  /** The socket breaks, and the coordinator hears of it unless it is deaf. */
  breakSocket(socket: SimulatedSocket): void {
    if (!socket.isOpen) return;
    if (socket.isDeaf) {
      socket.isOpen = false;
      return;
    }
    const end = this.#ends.endOf(socket);
    this.sockets.remove(socket);
    this.coordinator.sockets.closed(end);
  }

  /** Lets everything go on that can without time passing, and makes it durable. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < TURNS_TO_SETTLE; turns++) {
      await turn();
      this.confirm();
    }
    await turn();
  }

  confirm(): void {
    this.storage.confirm();
    for (const { settle } of this.#gated.splice(0)) settle();
  }

  /** Time passes, and alarms go off on their way. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const alarmAtMs = this.storage.alarmAtMs;
      if (alarmAtMs === null || alarmAtMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, alarmAtMs);
      await this.alarm();
    }
    this.nowMs = untilMs;
    await this.settle();
  }

  /** As the shell does. */
  async alarm(): Promise<void> {
    this.storage.alarmAtMs = this.nowMs + 60_000;
    const life = this.#life;
    const { coordinator } = this;
    const run = coordinator.runDue().then(() => {
      if (life !== this.#life) return;
      if (coordinator.timers.nextAtMs === undefined) this.storage.alarmAtMs = null;
      coordinator.timers.rearm(null);
    });
    await this.settle();
    await run;
    await this.settle();
  }

  /** The object is killed: what was not durable has never been, and nobody who waits is answered. */
  kill(): void {
    this.storage.crash();
    this.#lose();
    this.sockets.breakAll();
  }

  /** The object is killed just after its writes became durable: they have been, but nobody who waits is answered. */
  killAfterCommit(): void {
    this.storage.confirm();
    this.#lose();
    this.sockets.breakAll();
  }

  /** The platform puts an idle object to sleep, and wakes it. */
  async evict(): Promise<void> {
    await this.settle();
    if (this.#unanswered.size > 0) throw new Error("an object that is working is not evicted");
    this.#lose();
  }

  #lose(): void {
    this.#life++;
    const lost = [...this.#unanswered, ...this.#gated.splice(0)];
    this.#unanswered.clear();
    this.coordinator = this.#wake();
    for (const { lose } of lost) lose();
  }

  #wake(): Coordinator {
    const life = this.#life;
    const isAlive = () => life === this.#life;
    const reach = async () => {
      await turn();
      if (this.isControllerDown) throw new Error("the Controller is down");
      if (!isAlive()) await never();
    };
    this.#ends = this.sockets.forLife(isAlive);
    const coordinator = new Coordinator(GROUP_ID, {
      sockets: this.#ends,
      storage: storageWhile(isAlive, this.storage, (error) => {
        this.failure ??= error;
      }),
      clock: { now: () => this.nowMs },
      settings: this.settings,
      newId: () => `id${++this.#ids}`.padEnd(22, "_"),
      openGroup: async (groupId) => {
        await reach();
        this.registered.add(groupId);
      },
      closeGroup: async (groupId) => {
        await reach();
        this.registered.delete(groupId);
      },
      joinTransaction: async (transactionalId, request) => {
        const answer = await this.transactions.join(transactionalId, request);
        return isAlive() ? answer : never();
      },
      topics: {
        topicsVersion: async () => {
          await reach();
          this.versionLookUps++;
          return this.topicsVersion;
        },
        topicsNamed: async (names) => {
          await reach();
          this.topicLookUps++;
          return names.slice(0, TOPICS_PER_LOOK_UP_MAX).flatMap((name) => this.#topics.get(name) ?? []);
        },
        listTopics: async ({ after }) => {
          await reach();
          this.topicLookUps++;
          return [...this.#topics.values()]
            .filter(({ name }) => name > after)
            .sort((one, other) => (one.name < other.name ? -1 : 1));
        },
        existingTopics: async (topicIds) => {
          await reach();
          await this.topicLookUpsHeld;
          return topicIds
            .slice(0, TOPICS_PER_LOOK_UP_MAX)
            .filter((topicId) => !this.deletedTopics.has(topicId));
        },
      },
    });
    coordinator.timers.rearm(this.storage.alarmAtMs);
    return coordinator;
  }
}

/** The storage as an object has it that may be killed: the dead hear of nothing, and write nothing. */
function storageWhile(
  isAlive: () => boolean,
  storage: SimulatedStorage,
  failed: (error: unknown) => void,
): LogStorage {
  const dead = (): never => {
    throw new Error("the object is dead");
  };
  return {
    exec: (query, ...bindings) => (isAlive() ? storage.exec(query, ...bindings) : dead()),
    transactionSync(closure) {
      if (!isAlive()) return dead();
      try {
        return storage.transactionSync(closure);
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    sync: () => storage.sync().then(() => (isAlive() ? undefined : never())),
    setAlarm: (atMs) => (isAlive() ? storage.setAlarm(atMs) : dead()),
    abort: (reason) => storage.abort(reason),
  };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** Everything that is ready runs. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
