/**
 * R2: calls fail before they are done, half way, or after; they take their time; and what an object had asked for when it
 * was lost may still come true a while later.
 */

import { concatBytes } from "../../src/model/bytes.ts";
import type { SegmentBucket } from "../../src/tier/read-range.ts";
import { BUCKET_MS_MAX, LATE_MS_MAX, SLOW_BUCKET_MS_MAX } from "./faults.ts";
import { type Instance, SimulatedFault } from "./instance.ts";
import type { Platform } from "./platform.ts";
import { SimulatedReadable } from "./stream.ts";

interface StoredObject {
  readonly key: string;
  readonly size: number;
}

export class Bucket {
  readonly #platform: Platform;
  readonly #objects = new Map<string, Uint8Array>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** What is stored, by key. */
  get objects(): ReadonlyMap<string, Uint8Array> {
    return this.#objects;
  }

  /** As front ends have it, who only read. */
  get reader(): SegmentBucket {
    return {
      get: async (key, { range }) => {
        await this.#platform.scheduler.wait(this.#ms());
        if (this.#fails()) throw new SimulatedFault("R2 fails a get");
        const bytes = this.#objects.get(key);
        if (bytes === undefined) return null;
        const part = bytes.slice(range.offset, range.offset + range.length);
        return { arrayBuffer: async () => part.buffer };
      },
    };
  }

  /** As an object has it: a call leaves when all that was written before is durable. */
  bindingOf(instance: Instance): R2Bucket {
    const binding = {
      head: (key: string) => this.#call(instance, "head", () => this.#described(key)),
      list: ({ prefix = "", limit = 1_000 }: R2ListOptions) =>
        this.#call(instance, "list", () => this.#listed(prefix, limit)),
      delete: (keys: string | string[]) =>
        this.#call(instance, "delete", () => {
          for (const key of [keys].flat()) this.#objects.delete(key);
          this.#platform.note(() => `R2 has deleted ${keys}`);
        }),
      put: (key: string, body: unknown, options: R2PutOptions) => {
        if (!(body instanceof SimulatedReadable) || options.onlyIf === undefined) {
          throw new TypeError("this bucket takes streams, and only if there is no such object");
        }
        return this.#put(instance, key, body);
      },
    };
    return binding as unknown as R2Bucket;
  }

  #described(key: string): StoredObject | null {
    const bytes = this.#objects.get(key);
    return bytes === undefined ? null : { key, size: bytes.length };
  }

  #listed(prefix: string, limit: number) {
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    return {
      objects: keys.slice(0, limit).map((key) => this.#described(key)),
      truncated: keys.length > limit,
    };
  }

  async #call<T>(instance: Instance, name: string, run: () => T): Promise<T> {
    await instance.outputOpen();
    const fault = this.#fault();
    if (fault === "before") return instance.later(this.#ms(), () => fail(name, fault));
    const result = await this.#apply(instance, run);
    if (fault === "after") return instance.later(0, () => fail(name, fault));
    return result;
  }

  async #put(instance: Instance, key: string, body: SimulatedReadable): Promise<StoredObject | null> {
    await instance.outputOpen();
    const fault = this.#fault();
    const giveUp = (): never => {
      const error = new SimulatedFault(`R2 fails a put ${fault} it was done`);
      body.fail(error);
      throw error;
    };
    if (fault === "before") return instance.later(this.#ms(), giveUp);
    const chunks: Uint8Array[] = [];
    for (;;) {
      if (fault === "half way" && chunks.length > 0) return instance.later(this.#ms(), giveUp);
      const taken = await instance.later(this.#ms() / 10, () => {
        if (body.error !== undefined) throw body.error;
        const next = body.take();
        next?.taken();
        return next;
      });
      if (taken === undefined) continue;
      if (taken.chunk === undefined) break;
      chunks.push(taken.chunk);
    }
    const stored = await this.#apply(instance, () => {
      if (this.#objects.has(key)) return null;
      this.#objects.set(key, concatBytes(chunks));
      this.#platform.count("segments uploaded");
      this.#platform.note(
        () => `${key} is in R2, put by an object that ${instance.isAlive ? "lives" : "is gone"}`,
      );
      return this.#described(key);
    });
    return fault === "after" ? instance.later(0, giveUp) : stored;
  }

  /** Comes true even if the object is gone by then, and then perhaps a good while later. */
  #apply<T>(instance: Instance, run: () => T): Promise<T> {
    const { scheduler, random, faults } = this.#platform;
    const { promise, resolve } = Promise.withResolvers<T>();
    const ms = this.#ms();
    instance.pending++;
    scheduler.after(ms, () => {
      if (!instance.isAlive) {
        if (!faults.bucketOutlives) return;
        this.#platform.count("calls to R2 that outlived their object");
        return scheduler.after(random.next() * LATE_MS_MAX, () => void run());
      }
      const result = run();
      scheduler.after(this.#ms(), () =>
        instance.turn(() => {
          instance.pending--;
          resolve(result);
        }),
      );
    });
    return promise;
  }

  #ms(): number {
    const { random, faults } = this.#platform;
    const most = random.chance(faults.bucketSlow) ? SLOW_BUCKET_MS_MAX : BUCKET_MS_MAX;
    return random.next() * most;
  }

  #fails(): boolean {
    return this.#platform.random.chance(this.#platform.faults.bucketFails);
  }

  #fault(): "before" | "half way" | "after" | undefined {
    return this.#fails() ? this.#platform.random.pick(["before", "half way", "after"]) : undefined;
  }
}

function fail(name: string, fault: string): never {
  throw new SimulatedFault(`R2 fails a ${name} ${fault} it was done`);
}
