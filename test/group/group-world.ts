import { Coordinator } from "../../durable-objects/group/coordinator.ts";
import type { GroupSettings } from "../../durable-objects/group/settings.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { SimulatedStorage } from "./simulated-storage.ts";

export const GROUP_ID = "group";

export const SETTINGS: GroupSettings = {
  initialRebalanceDelayMs: 0,
  membersMax: 100,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5_000,
  offsetsRetentionMs: 7 * 24 * 3_600_000,
  offsetsRetentionCheckMs: 600_000,
};

/** What a call comes to whose object was lost before it could answer. */
export class LostObject extends Error {
  constructor() {
    super("the object was lost");
  }
}

interface GatedCall {
  readonly settle: () => void;
  readonly lose: () => void;
}

/**
 * One group and the world around it: a clock that only the test moves, a Controller, and the platform, which holds every
 * answer until what was written before it is durable and may lose or evict the object.
 */
export class GroupWorld {
  readonly storage = new SimulatedStorage();
  readonly settings: GroupSettings;
  readonly registered = new Set<string>();
  readonly deletedTopics = new Set<TopicId>();
  isControllerDown = false;
  nowMs = 1_000_000;
  coordinator: Coordinator;
  #life = 0;
  #ids = 0;
  readonly #unanswered = new Set<GatedCall>();
  #gated: GatedCall[] = [];

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = { ...SETTINGS, ...settings };
    this.coordinator = this.#wake();
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
      (error: unknown) => gate(() => reject(error)),
    );
    return promise;
  }

  /** A call and whatever it takes for an answer that needs no time to pass. */
  async ask<T>(method: (coordinator: Coordinator) => Promise<T>): Promise<T> {
    const answer = this.call(method);
    await this.settle();
    return answer;
  }

  /** Lets everything go on that can without time passing, and makes it durable. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 3; turns++) {
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
  }

  /** The object is killed just after its writes became durable: they have been, but nobody who waits is answered. */
  killAfterCommit(): void {
    this.storage.confirm();
    this.#lose();
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
    const reach = async () => {
      await turn();
      if (this.isControllerDown) throw new Error("the Controller is down");
      // Whoever is dead hears no answer.
      if (life !== this.#life) await new Promise(() => {});
    };
    const coordinator = new Coordinator(GROUP_ID, {
      storage: this.storage,
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
      existingTopics: async (topicIds) => {
        await reach();
        return topicIds.filter((topicId) => !this.deletedTopics.has(topicId));
      },
    });
    coordinator.timers.rearm(this.storage.alarmAtMs);
    return coordinator;
  }
}

/** Everything that is ready runs. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
