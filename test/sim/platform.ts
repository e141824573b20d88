/** The simulated platform: objects by name, one bucket, one network, and what is wrong with them today. */

import type { Random } from "../crash/random.ts";
import { Bucket } from "./bucket.ts";
import { ServerEnd } from "./connection.ts";
import { CLOCK_JUMP_MS_MAX, type Faults, LATE_MS_MAX } from "./faults.ts";
import type { Instance } from "./instance.ts";
import { isFault, ObjectHost } from "./object-host.ts";
import { Scheduler } from "./scheduler.ts";

export type ObjectClass = "CONTROLLER" | "PARTITION" | "GROUP" | "TRANSACTION";

/** Makes an object of a class with the context and the environment that the platform gives it. */
export type Classes = Readonly<Record<ObjectClass, (context: unknown, environment: unknown) => object>>;

const NOTES_KEPT = 400;
/** How those who take part in a transaction are told of its end. */
const MARKER = "writeTransactionMarker";

export class Platform {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly bucket: Bucket;
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  readonly notes: string[] = [];
  /** Nobody's clock has jumped, or will. */
  readonly areClocksTrue: boolean;
  faults: Faults;
  readonly #classes: Classes;
  readonly #hosts = new Map<string, ObjectHost>();
  readonly #takesNotes: boolean;
  #moments = 0;

  constructor(random: Random, faults: Faults, classes: Classes, takesNotes: boolean) {
    this.random = random;
    this.faults = faults;
    this.areClocksTrue = faults.clockJumps === 0;
    this.#classes = classes;
    this.#takesNotes = takesNotes;
    this.scheduler = new Scheduler(random.fork());
    this.bucket = new Bucket(this);
  }

  /** A stub: every method is a call. */
  stub<T extends object>(kind: ObjectClass, name: string, caller?: Instance): T {
    const host = this.host(kind, name);
    return new Proxy(Object.create(null), {
      get: (_, method) =>
        typeof method === "string" && method !== "then"
          ? (...args: unknown[]) => {
              if (method === MARKER) this.#repeatLate(host, method, args);
              return host.call(method, args, caller);
            }
          : undefined,
    });
  }

  /** What its caller has given up, and told again, may arrive all the same, when nobody thinks of it any more. */
  #repeatLate(host: ObjectHost, method: string, args: readonly unknown[]): void {
    if (!this.random.chance(this.faults.requestsRepeated)) return;
    this.count("markers repeated late");
    const again = structuredClone(args);
    this.scheduler.after(this.random.next() * LATE_MS_MAX, () => {
      host.call(method, [...again], undefined).catch((error: unknown) => {
        if (!isFault(error)) throw error;
      });
    });
  }

  host(kind: ObjectClass, name: string): ObjectHost {
    const key = `${kind} ${name}`;
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    const host = new ObjectHost(this, key, (instance) =>
      this.#classes[kind](contextOf(instance, name), this.#environment(instance)),
    );
    this.#hosts.set(key, host);
    return host;
  }

  get hosts(): Iterable<[string, ObjectHost]> {
    return this.#hosts;
  }

  /** What goes wrong between two events. */
  mischief(): void {
    const { random, faults } = this;
    const draw = random.next();
    const { kills, replacements, evictions, clockJumps } = faults;
    if (draw >= kills + replacements + evictions + clockJumps) return;
    const [first, ...others] = this.#hosts.values();
    if (first === undefined) return;
    const host = random.pick([first, ...others]);
    if (draw < kills) {
      if (!host.isAwake) return;
      this.note(() => `${host.name} is killed`);
      this.count("kills");
      host.crash();
    } else if (draw < kills + replacements) {
      if (!host.isAwake) return;
      this.note(() => `${host.name} is replaced`);
      this.count("replacements");
      host.replace();
    } else if (draw < kills + replacements + evictions) {
      if (host.hibernate()) this.count("evictions");
    } else {
      this.count("clock jumps");
      host.jumpClock((random.next() * 2 - 1) * CLOCK_JUMP_MS_MAX);
    }
  }

  /** A point in the order of all that clients do. */
  moment(): number {
    return this.#moments++;
  }

  close(): void {
    for (const host of this.#hosts.values()) host.storage.close();
  }

  // ── findings ───────────────────────────────────────────────────────────────────────────────────────────────────────

  violated(message: string): void {
    this.violations.push(message);
    this.note(() => `VIOLATION ${message}`);
  }

  count(what: string, howMany = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + howMany);
  }

  note(text: () => string): void {
    if (!this.#takesNotes) return;
    this.notes.push(`${this.scheduler.nowMs.toFixed(2).slice(4)} ${text()}`);
    if (this.notes.length > NOTES_KEPT) this.notes.shift();
  }

  #environment(instance: Instance): unknown {
    const namespace = (kind: ObjectClass) => ({
      idFromName: (name: string) => name,
      get: (name: string) => this.stub(kind, name, instance),
      jurisdiction: () => {
        throw new TypeError("there are no jurisdictions here");
      },
    });
    return {
      CONTROLLER: namespace("CONTROLLER"),
      PARTITION: namespace("PARTITION"),
      GROUP: namespace("GROUP"),
      TRANSACTION: namespace("TRANSACTION"),
      SEGMENTS: this.bucket.bindingOf(instance),
    };
  }
}

/** The part of `DurableObjectState` that the classes use. */
function contextOf(instance: Instance, name: string): unknown {
  const { host, platform } = instance;
  return {
    // Not every event tells the name, but what the object has stored does.
    id: {
      name: host.storage.isBlank || platform.random.chance(0.5) ? name : undefined,
      toString: () => host.name,
    },
    storage: {
      sql: {
        exec(query: string, ...bindings: never[]) {
          const rows = instance.exec(query, ...bindings);
          return { toArray: () => rows };
        },
      },
      transactionSync: <T>(closure: () => T) => instance.transactionSync(closure),
      sync: () => instance.sync(),
      setAlarm: (atMs: number) => instance.setAlarm(atMs),
      deleteAlarm: () => instance.setAlarm(null),
      getAlarm: () => instance.getAlarm(),
      deleteAll: () => instance.deleteAll(),
    },
    abort: (reason: string) => instance.abort(reason),
    async blockConcurrencyWhile<T>(run: () => Promise<T>): Promise<T> {
      instance.lock();
      try {
        return await run();
      } catch (error) {
        return instance.abort(String(error));
      } finally {
        instance.unlock();
      }
    },
    acceptWebSocket(socket: unknown, [tag = ""]: string[]) {
      if (!(socket instanceof ServerEnd)) throw new TypeError("that is no end of a WebSocketPair");
      const { connection } = socket;
      connection.tag = tag;
      host.accept(connection);
    },
    getWebSockets: (tag: string) =>
      [...host.connections]
        .filter((connection) => connection.tag === tag)
        .map((connection) => connection.serverEnd(instance)),
    setWebSocketAutoResponse: () => undefined,
  };
}
