/**
 * The page cache: the newest commit groups of the partitions that live in this isolate, in memory, within one budget
 * (an isolate's memory is shared by all objects in it). When it is full, the partition that was used least recently
 * gives up its oldest group.
 */

import { releaseBytes } from "../../src/model/bytes.ts";
import { TAIL_CACHE_BYTES_MAX } from "../../src/model/limits.ts";

/** What a cached group costs besides its bytes. */
const GROUP_OVERHEAD_BYTES = 200;

const NO_GROUP: CachedGroup = { baseOffset: -1, nextOffset: -1, batches: new Uint8Array() };

export interface CachedGroup {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly batches: Uint8Array;
}

export class TailCache {
  readonly #bytesMax: number;
  /** In order of use, least recent first. */
  readonly #tails = new Set<Tail>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  tail(): Tail {
    return new Tail(this);
  }

  /** @internal */
  touch(tail: Tail): void {
    this.#tails.delete(tail);
    this.#tails.add(tail);
  }

  /** @internal */
  grew(tail: Tail, bytes: number): void {
    this.touch(tail);
    this.#bytes += bytes;
    for (const victim of this.#tails) {
      while (this.#bytes > this.#bytesMax && victim.size > 0) this.#bytes -= victim.dropOldest();
      if (this.#bytes <= this.#bytesMax) return;
      this.#tails.delete(victim);
    }
  }

  /** @internal */
  cleared(tail: Tail, bytes: number): void {
    this.#tails.delete(tail);
    this.#bytes -= bytes;
  }
}

/** One partition's part of the cache: a contiguous run of groups that ends at the log end. */
export class Tail {
  readonly #cache: TailCache;
  #groups: CachedGroup[] = [];
  /** Groups before this index are gone; cut off now and then, so that dropping is cheap. */
  #first = 0;

  constructor(cache: TailCache) {
    this.#cache = cache;
  }

  get size(): number {
    return this.#groups.length - this.#first;
  }

  /** The group's buffer becomes the cache's: it is freed when the group leaves. */
  push(group: CachedGroup): void {
    this.#groups.push(group);
    this.#cache.grew(this, costOf(group));
  }

  /** The groups' batches from the one that contains the offset on, or undefined if that one is not here. */
  from(offset: number): Iterable<Uint8Array> | undefined {
    const oldest = this.#groups[this.#first];
    if (oldest === undefined || offset < oldest.baseOffset) return undefined;
    this.#cache.touch(this);
    let low = this.#first;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const group = this.#groups[middle];
      if (group !== undefined && group.nextOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#batchesFrom(low);
  }

  *#batchesFrom(index: number): Generator<Uint8Array> {
    for (let i = index; i < this.#groups.length; i++) yield this.#groups[i]?.batches ?? NO_GROUP.batches;
  }

  clear(): void {
    let bytes = 0;
    for (let i = this.#first; i < this.#groups.length; i++) {
      const group = this.#groups[i];
      if (group === undefined) continue;
      bytes += costOf(group);
      releaseBytes(group.batches);
    }
    this.#groups = [];
    this.#first = 0;
    this.#cache.cleared(this, bytes);
  }

  /** @internal Returns what it freed. */
  dropOldest(): number {
    const group = this.#groups[this.#first];
    if (group === undefined) return 0;
    this.#groups[this.#first] = NO_GROUP;
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#groups.length) {
      this.#groups = this.#groups.slice(this.#first);
      this.#first = 0;
    }
    const bytes = costOf(group);
    releaseBytes(group.batches);
    return bytes;
  }
}

function costOf(group: CachedGroup): number {
  return group.batches.length + GROUP_OVERHEAD_BYTES;
}

/** The one cache of this isolate. */
export const isolateTailCache = new TailCache(TAIL_CACHE_BYTES_MAX);
