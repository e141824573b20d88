/**
 * One life of a Durable Object: its memory, and the gates around it. What leaves it waits until everything that it wrote
 * before is durable (the output gate); what comes to it waits while it waits for its own storage (the input gate).
 */

import type { SqlRow, SqlValue } from "../../durable-objects/partition/storage.ts";
import type { ObjectHost } from "./object-host.ts";
import type { Platform } from "./platform.ts";
import type { TurnTaker } from "./scheduler.ts";

/** What a test does to the platform, and what comes of it: no mistake of the object's. */
export class SimulatedFault extends Error {}

/** Something that leaves the object. */
interface Output {
  /** The last commit that was written before it. */
  readonly after: number;
  readonly release: () => void;
  readonly lose: () => void;
}

export class Instance implements TurnTaker {
  readonly host: ObjectHost;
  readonly platform: Platform;
  clockSkewMs: number;
  /** Its code runs. */
  isAlive = true;
  /** Another one has taken its place: it will find out when it looks at its storage. */
  isReplaced = false;
  /** Promises of the platform that it waits for: it does not hibernate meanwhile. */
  pending = 0;
  #object: object | undefined;
  #outputs: Output[] = [];
  /** Of a replaced one: what it wrote after this commit is lost, and the gate before what followed will never open. */
  #lastDurable = Number.POSITIVE_INFINITY;
  #locks = 0;
  #deliveries: (() => void)[] = [];
  readonly #losses = new Set<() => void>();

  constructor(host: ObjectHost, clockSkewMs: number) {
    this.host = host;
    this.platform = host.platform;
    this.clockSkewMs = clockSkewMs;
  }

  start(make: (instance: Instance) => object): void {
    this.#object = make(this);
  }

  /** Calls a method of the object. */
  async invoke(method: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#object === undefined) throw new SimulatedFault("the object did not come to life");
    const run: unknown = Reflect.get(this.#object, method);
    if (typeof run !== "function") throw new TypeError(`there is no method ${method}`);
    return run.apply(this.#object, args);
  }

  get isIdle(): boolean {
    return this.pending === 0 && this.#losses.size === 0 && this.#deliveries.length === 0;
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs code of this object, if there still is any. */
  turn(run: () => void): void {
    if (!this.isAlive) return;
    this.platform.scheduler.current = this;
    run();
  }

  endTurn(): void {
    if (this.isAlive && !this.isReplaced) this.host.commitTurn();
  }

  /** What the platform gives after some time: never, if the object is gone by then. */
  later<T>(ms: number, outcome: () => T): Promise<T> {
    this.pending++;
    return new Promise((resolve, reject) => {
      this.platform.scheduler.after(ms, () =>
        this.turn(() => {
          this.pending--;
          try {
            resolve(outcome());
          } catch (error) {
            reject(error);
          }
        }),
      );
    });
  }

  /** As {@link later}, and no event is delivered before. */
  lockedLater<T>(outcome: () => T): Promise<T> {
    this.lock();
    return this.later(0, () => {
      this.unlock();
      return outcome();
    });
  }

  // ── the input gate ─────────────────────────────────────────────────────────────────────────────────────────────────

  lock(): void {
    this.#locks++;
  }

  unlock(): void {
    this.#locks--;
    if (this.#locks === 0) for (const deliver of this.#deliveries.splice(0)) this.deliver(deliver);
  }

  /** An event for this object. `lost` is called if it is gone before the returned function was. */
  deliver(run: () => void): void {
    if (this.#locks > 0) {
      this.#deliveries.push(run);
      return;
    }
    this.platform.scheduler.after(0, () => {
      if (this.#locks > 0) this.#deliveries.push(run);
      else this.turn(run);
    });
  }

  /** Something that someone outside waits for: `lose` unless the returned function is called first. */
  owe(lose: () => void): () => void {
    this.#losses.add(lose);
    return () => this.#losses.delete(lose);
  }

  // ── the output gate ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Releases what leaves the object when all that it has written is durable. */
  output(release: () => void, lose: () => void = () => undefined): void {
    const after = this.isReplaced ? this.#lastWritten : this.host.storage.written;
    if (!this.isAlive || after > this.#lastDurable) lose();
    else if (this.isReplaced || after <= this.host.storage.durable) release();
    else this.#outputs.push({ after, release, lose });
  }

  /** As {@link output}, as a promise of this object. */
  outputOpen(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.pending++;
    this.output(() =>
      this.platform.scheduler.after(0, () =>
        this.turn(() => {
          this.pending--;
          resolve();
        }),
      ),
    );
    return promise;
  }

  confirmed(commit: number): void {
    const open = this.#outputs.filter(({ after }) => after <= commit);
    this.#outputs = this.#outputs.filter(({ after }) => after > commit);
    for (const { release } of open) release();
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #lastWritten = 0;

  /** `durable`: the last of its commits that has been made. */
  replaced(durable: number, written: number): void {
    this.isReplaced = true;
    this.#lastWritten = written;
    this.#lastDurable = durable;
    const outputs = this.#outputs;
    this.#outputs = [];
    for (const { after, release, lose } of outputs) (after <= durable ? release : lose)();
  }

  /** Whoever waits for it is told by an exception. */
  die(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    const losses = [...this.#losses, ...this.#outputs.map(({ lose }) => lose)];
    this.#losses.clear();
    this.#outputs = [];
    this.#deliveries = [];
    for (const lose of losses) lose();
  }

  /** Before any access to storage: an object that was replaced, or has given up, has none. */
  #touchStorage(): void {
    if (!this.isAlive) throw new SimulatedFault("the object has been thrown away");
    if (!this.isReplaced) return;
    this.die();
    throw new SimulatedFault("another instance of this object has taken its place");
  }

  // ── its storage ────────────────────────────────────────────────────────────────────────────────────────────────────

  exec(query: string, ...bindings: SqlValue[]): SqlRow[] {
    this.#touchStorage();
    return this.host.storage.exec(query, bindings, () => {
      const { faults, random } = this.platform;
      if (!random.chance(faults.statementFails)) return;
      this.platform.count("statements failed");
      if (random.chance(0.5)) this.abort("a statement failed, and with it the object");
      throw new SimulatedFault("a statement failed");
    });
  }

  transactionSync<T>(closure: () => T): T {
    this.#touchStorage();
    return this.host.storage.transactionSync(closure);
  }

  async sync(): Promise<void> {
    this.#touchStorage();
    if (this.host.storage.written > this.host.storage.durable) await this.outputOpen();
  }

  setAlarm(atMs: number | null): Promise<void> {
    this.#touchStorage();
    this.host.alarmSet(atMs);
    return this.lockedLater(() => undefined);
  }

  getAlarm(): Promise<number | null> {
    this.#touchStorage();
    return this.lockedLater(() => this.host.alarmAtMs);
  }

  deleteAll(): Promise<void> {
    this.#touchStorage();
    this.host.storage.deleteAll();
    return this.lockedLater(() => undefined);
  }

  abort(reason: string): never {
    if (this.isReplaced) this.die();
    else if (this.isAlive) this.host.crash();
    throw new SimulatedFault(reason);
  }
}
