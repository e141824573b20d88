/** R2 as it is on a bad day: it fails now and then, before or after it has done what was asked, and takes its time. */

import type { Random } from "./random.ts";

export interface Faults {
  /** From 0 to 1: how many calls fail. */
  readonly failures: number;
  /** Calls are held for up to so long. */
  readonly delayMsMax: number;
}

export type BucketCall = "head" | "get" | "put" | "delete" | "list";

export type Announce = (event: `${BucketCall} begins` | `${BucketCall} ends`) => void;

export function faultyBucket(bucket: R2Bucket, faults: Faults, random: Random, announce: Announce): R2Bucket {
  async function call<T>(name: BucketCall, run: () => Promise<T>, half: () => Promise<void>): Promise<T> {
    announce(`${name} begins`);
    try {
      await scheduler.wait(random.integer(0, faults.delayMsMax));
      if (!random.chance(faults.failures)) return await run();
      const fault = random.pick(["before", "half way", "after"]);
      if (fault === "half way") await half();
      if (fault === "after") await run();
      throw new Error(`R2 fails ${fault} a ${name}, because the test wants it`);
    } finally {
      announce(`${name} ends`);
    }
  }
  const nothing = async () => {};
  const faulty: Pick<R2Bucket, BucketCall> = {
    head: (key) => call("head", () => bucket.head(key), nothing),
    get: (key: string, options?: R2GetOptions) => call("get", () => bucket.get(key, options), nothing),
    put: (key: string, value: never, options?: R2PutOptions) =>
      call(
        "put",
        () => bucket.put(key, value, options),
        () => takeSome(value),
      ),
    delete: (keys) => call("delete", () => bucket.delete(keys), nothing),
    list: (options) => call("list", () => bucket.list(options), nothing),
  };
  return new Proxy(bucket, {
    get: (target, name) => Reflect.get(Object.hasOwn(faulty, name) ? faulty : target, name),
  });
}

/** Reads a piece of a body and hangs up. */
async function takeSome(body: unknown): Promise<void> {
  if (!(body instanceof ReadableStream)) return;
  const reader = body.getReader();
  await reader.read();
  await reader.cancel();
}
