/** A Durable Object as the platform keeps it: its storage, its sockets, its alarm, and the instance that lives now. */

import { isFailure } from "../../src/model/errors.ts";
import type { Connection } from "./connection.ts";
import { type Alarm, DurableStorage, NO_ALARM } from "./durable-storage.ts";
import { NETWORK_MS_MAX } from "./faults.ts";
import { Instance, SimulatedFault } from "./instance.ts";
import type { Platform } from "./platform.ts";

const ALARM_TRIES_MAX = 6;
const ALARM_LATE_MS_MAX = 50;
const ALARM_RETRY_MS = 2_000;
/** How long an instance goes on that does not know that it has been replaced, and how many calls still go to it. */
const REPLACED_MS_MAX = 2_000;
const MISROUTED = 0.3;

export class ObjectHost {
  readonly platform: Platform;
  readonly name: string;
  readonly storage = new DurableStorage();
  readonly connections = new Set<Connection>();
  readonly #make: (instance: Instance) => object;
  #instance: Instance | undefined;
  #replaced: Instance[] = [];
  #clockSkewMs = 0;
  /** When the last commit that is under way becomes durable. */
  #lastCommitAtMs = 0;
  /** Changes with every crash: what was under way before is no more. */
  #epoch = 0;
  #armed: Alarm = NO_ALARM;
  #alarmToken = 0;
  #alarmTries = 0;
  #alarm: "waits" | "runs" | "runs and was set" = "waits";
  #isDueAgain = false;

  constructor(platform: Platform, name: string, make: (instance: Instance) => object) {
    this.platform = platform;
    this.name = name;
    this.#make = make;
  }

  // ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A call of an RPC method, with all that it takes in time. An exception says nothing about what has been done. */
  call(method: string, args: readonly unknown[], caller?: Instance): Promise<unknown> {
    const { scheduler } = this.platform;
    const sent = copyOf(method, args);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (caller !== undefined) caller.pending++;
    const settle = (how: () => void) =>
      scheduler.after(this.#networkMs(), () => {
        if (caller === undefined) return how();
        caller.turn(() => {
          caller.pending--;
          how();
        });
      });
    const fail = (error: unknown) => settle(() => reject(error));
    this.platform.note(() => `${caller?.host.name ?? "a client"} calls ${method} of ${this.name}`);
    const send = () =>
      scheduler.after(this.#networkMs(), () =>
        this.#deliver(
          (instance) => this.#run(instance, method, sent, (answer) => settle(() => resolve(answer)), fail),
          fail,
          this.#misrouted(),
        ),
      );
    if (caller === undefined) send();
    else caller.output(send, () => undefined);
    return promise;
  }

  #run(
    instance: Instance,
    method: string,
    args: readonly unknown[],
    answer: (value: unknown) => void,
    fail: (error: unknown) => void,
  ): void {
    const lost = () => fail(new SimulatedFault(`${this.name} was lost`));
    const paid = instance.owe(lost);
    const leave = (release: () => void) => {
      paid();
      instance.output(release, lost);
    };
    instance.invoke(method, args).then(
      (value) => {
        const copy = copyOf(method, value);
        this.platform.note(
          () => `${this.name} answers ${method}: ${isFailure(value) ? value.error : "done"}`,
        );
        leave(() => answer(copy));
      },
      (error) => {
        if (instance.isAlive && !isFault(error)) {
          this.platform.violated(`${this.name}: ${method} threw ${describe(error)}`);
        }
        leave(() => fail(error));
      },
    );
  }

  /** An event for whatever instance lives, or for a new one. */
  #deliver(run: (instance: Instance) => void, fail: (error: unknown) => void, receiver?: Instance): void {
    let instance: Instance;
    try {
      instance = receiver ?? this.#wake();
    } catch (error) {
      if (!isFault(error)) this.platform.violated(`${this.name} did not wake: ${describe(error)}`);
      fail(error);
      return;
    }
    const lost = () => fail(new SimulatedFault(`${this.name} was lost`));
    const begun = instance.owe(lost);
    instance.deliver(() => {
      begun();
      run(instance);
    });
  }

  /** A replaced instance that a call still goes to. */
  #misrouted(): Instance | undefined {
    const replaced = this.#replaced.find(({ isAlive }) => isAlive);
    return replaced !== undefined && this.platform.random.chance(MISROUTED) ? replaced : undefined;
  }

  #wake(): Instance {
    if (this.#instance !== undefined) return this.#instance;
    const instance = new Instance(this, this.#clockSkewMs);
    this.#instance = instance;
    this.platform.scheduler.current = instance;
    this.platform.note(() => `${this.name} wakes`);
    try {
      instance.start(this.#make);
      return instance;
    } catch (error) {
      if (this.#instance === instance) this.crash();
      throw error;
    }
  }

  #networkMs(): number {
    return this.platform.random.next() * NETWORK_MS_MAX;
  }

  // ── commits ────────────────────────────────────────────────────────────────────────────────────────────────────────

  commitTurn(): void {
    const commit = this.storage.endTurn();
    if (commit === undefined) return;
    const { scheduler, random, faults } = this.platform;
    const atMs = Math.max(this.#lastCommitAtMs, scheduler.nowMs + random.next() * faults.commitMsMax);
    this.#lastCommitAtMs = atMs;
    const epoch = this.#epoch;
    // One after the other, also of those that end at the same time.
    scheduler.after(atMs - scheduler.nowMs, () => {
      if (epoch !== this.#epoch || this.storage.durable >= commit) return;
      if (random.chance(faults.commitFails)) {
        this.platform.note(() => `${this.name}: a commit fails`);
        this.platform.count("commits failed");
        this.crash();
        return;
      }
      this.#confirm(commit);
    });
  }

  /** Whatever was written before is durable with it. */
  #confirm(commit: number): void {
    this.storage.confirm(commit);
    this.#instance?.confirmed(commit);
    this.#arm();
  }

  // ── the end of an instance ─────────────────────────────────────────────────────────────────────────────────────────

  get isAwake(): boolean {
    return this.#instance !== undefined;
  }

  /** Its memory is lost, its sockets are closed, and some of what was not confirmed has never been written. */
  crash(): void {
    const instance = this.#instance;
    this.#instance = undefined;
    this.#fallBack();
    instance?.die();
    this.#closeSockets();
    this.#alarmLost();
  }

  /** Another instance will answer from now on, and this one does not know. */
  replace(): void {
    const instance = this.#instance;
    if (instance === undefined) return;
    this.#instance = undefined;
    const { written } = this.storage;
    this.#fallBack();
    instance.replaced(this.storage.durable, written);
    this.#replaced.push(instance);
    const { scheduler, random } = this.platform;
    scheduler.after(random.next() * REPLACED_MS_MAX, () => {
      instance.die();
      this.#replaced = this.#replaced.filter((other) => other !== instance);
    });
    this.#closeSockets();
    this.#alarmLost();
  }

  /** The platform has noticed. */
  endReplaced(): void {
    for (const instance of this.#replaced.splice(0)) instance.die();
  }

  /** It hibernates: memory is lost, sockets stay open. False if it has something to do. */
  hibernate(): boolean {
    const isIdle =
      this.#instance?.isIdle === true &&
      this.#alarm === "waits" &&
      this.storage.durable === this.storage.written;
    if (!isIdle) return false;
    this.#instance?.die();
    this.#instance = undefined;
    return true;
  }

  jumpClock(skewMs: number): void {
    this.#clockSkewMs = skewMs;
    if (this.#instance !== undefined) this.#instance.clockSkewMs = skewMs;
  }

  #fallBack(): void {
    const { random } = this.platform;
    this.#epoch++;
    this.#lastCommitAtMs = 0;
    const survivors = random.integer(0, this.storage.unconfirmed);
    this.storage.crash(survivors);
  }

  // ── the alarm ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** As the object sees it: none while it is being handled. */
  get alarmAtMs(): number | null {
    return this.#alarm === "runs" ? null : this.storage.alarm.atMs;
  }

  alarmSet(atMs: number | null): void {
    this.storage.setAlarm(atMs);
    if (this.#alarm !== "waits") this.#alarm = "runs and was set";
  }

  #arm(): void {
    const alarm = this.storage.durableAlarm;
    if (alarm === this.#armed) return;
    this.#armed = alarm;
    const { atMs } = alarm;
    const { scheduler, random } = this.platform;
    if (atMs !== null) this.#fireAfter(atMs - scheduler.nowMs + random.next() * ALARM_LATE_MS_MAX);
    else this.#alarmToken++;
  }

  #fireAfter(ms: number): void {
    const token = ++this.#alarmToken;
    this.platform.scheduler.after(ms, () => {
      if (token === this.#alarmToken) this.#fire();
    });
  }

  #fire(): void {
    // One after the other.
    if (this.#alarm !== "waits") {
      this.#isDueAgain = true;
      return;
    }
    this.#alarm = "runs";
    this.#deliver(
      (instance) => {
        const lost = instance.owe(() => undefined);
        instance.invoke("alarm", []).then(
          () => {
            lost();
            if (!instance.isAlive || instance.isReplaced) return;
            this.#alarmTries = 0;
            if (this.#alarm === "runs") this.storage.setAlarm(null);
            this.#alarm = "waits";
            if (this.#isDueAgain) this.#fireAfter(0);
            this.#isDueAgain = false;
          },
          (error) => {
            lost();
            if (!instance.isAlive || instance.isReplaced) return;
            this.platform.violated(`${this.name}: the alarm threw ${describe(error)}`);
          },
        );
      },
      () => undefined,
    );
  }

  /** What was under way is to be done again. */
  #alarmLost(): void {
    const wasRunning = this.#alarm !== "waits";
    this.#alarm = "waits";
    this.#isDueAgain = false;
    if (wasRunning) this.#alarmTries++;
    this.#armed = this.storage.durableAlarm;
    this.#alarmToken++;
    if (this.#armed.atMs === null) return;
    if (this.#alarmTries > ALARM_TRIES_MAX) {
      // The platform gives up; whatever wakes the object next sets it again.
      this.platform.count("alarms given up");
      this.#alarmTries = 0;
      this.storage.setAlarm(null);
      this.commitTurn();
      return;
    }
    const dueMs = this.#armed.atMs - this.platform.scheduler.nowMs;
    this.#fireAfter(Math.max(dueMs, wasRunning ? ALARM_RETRY_MS : 0));
  }

  // ── sockets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  accept(connection: Connection): void {
    this.connections.add(connection);
  }

  socketMessage(connection: Connection, data: string): void {
    this.#socketEvent(connection, "webSocketMessage", data);
  }

  socketClosed(connection: Connection): void {
    this.#socketEvent(connection, "webSocketClose");
  }

  #socketEvent(connection: Connection, event: string, ...rest: string[]): void {
    if (!this.connections.has(connection)) return;
    this.#deliver(
      (instance) => {
        instance.invoke(event, [connection.serverEnd(instance), ...rest]).catch((error: unknown) => {
          if (!isFault(error)) this.platform.violated(`${this.name}: ${event} threw ${describe(error)}`);
        });
      },
      () => undefined,
    );
  }

  #closeSockets(): void {
    for (const connection of this.connections) connection.lost();
    this.connections.clear();
  }
}

/** As an RPC copies it. What HTTP and sockets carry goes as it is. */
function copyOf<T>(method: string, value: T): T {
  return method === "fetch" ? value : structuredClone(value);
}

/** Whether the test, and not the object, is to blame. */
export function isFault(error: unknown): boolean {
  return error instanceof SimulatedFault;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
