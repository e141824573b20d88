/** What the producer sent and a consumer received, small enough to compare: order by key, completeness, no gap, no repeat. */

import { createHash, type Hash } from "node:crypto";

export class Witness {
  readonly #byKey = new Map<string, Hash>();
  readonly #nextOffsets = new Map<number, number>();
  records = 0;
  bytes = 0;
  /** The first thing that is wrong, if any. */
  problem: string | undefined;

  /** Records of one key in their order; how keys mix does not matter. */
  saw(key: string, value: string): void {
    this.records += 1;
    this.bytes += key.length + value.length;
    let hash = this.#byKey.get(key);
    if (hash === undefined) {
      hash = createHash("sha256");
      this.#byKey.set(key, hash);
    }
    hash.update(`${value}\n`);
  }

  /** Offsets of a partition must follow each other. */
  sawOffset(partition: number, offset: number): void {
    const expected = this.#nextOffsets.get(partition) ?? 0;
    if (offset !== expected)
      this.problem ??= `partition ${partition}: offset ${offset} came where ${expected} was due`;
    this.#nextOffsets.set(partition, offset + 1);
  }

  get keys(): number {
    return this.#byKey.size;
  }

  /** One hash over the hashes of all keys. */
  digest(): string {
    const keys = [...this.#byKey].sort(([a], [b]) => (a < b ? -1 : 1));
    const whole = createHash("sha256");
    for (const [key, hash] of keys) whole.update(`${key} ${hash.copy().digest("hex")}\n`);
    return whole.digest("hex");
  }

  /** Why what was received is not what was sent, or undefined. */
  difference(sent: Witness): string | undefined {
    if (this.problem !== undefined) return this.problem;
    if (this.records !== sent.records) return `${this.records} records came, ${sent.records} were sent`;
    for (const [key, hash] of sent.#byKey) {
      const received = this.#byKey.get(key)?.copy().digest("hex");
      if (received !== hash.copy().digest("hex"))
        return `the records of ${key} differ from what was sent, or their order does`;
    }
    return this.digest() === sent.digest() ? undefined : "there are keys that nobody sent";
  }
}
