/**
 * What is known of one partition's log from outside: what was sent, what was acknowledged, what was read. Every new
 * piece of knowledge is held against all that came before it. Pure: no time, no I/O.
 */

export interface SentBatch {
  readonly id: number;
  /** Producer and partition: batches of one lane are stored in the order in which they were first sent. */
  readonly lane: string;
  /** Place in that order, from 0. */
  readonly order: number;
  readonly records: number;
  readonly timestampMs: number;
}

/** A record tells which one of which batch it is; `batch` -1: it is none that was ever sent. */
export interface SeenRecord {
  readonly offset: number;
  readonly batch: number;
  readonly index: number;
}

/** The whole log as it was read from its start to its end. */
export interface Snapshot {
  readonly logStart: number;
  /** The offset after the last record that was read. */
  readonly logEnd: number;
  readonly records: readonly SeenRecord[];
  /** Of the batches that were read. */
  readonly bytes: number;
  readonly takenAtMs: number;
}

/** What the topic's configs let go of; nothing given: only what DeleteRecords asked for. */
export interface Retention {
  readonly bytes?: number;
  readonly ms?: number;
}

export type Rule =
  | "loss"
  | "duplicate"
  | "reorder"
  | "hole"
  | "torn batch"
  | "changed record"
  | "foreign record"
  | "log start moved back"
  | "log end moved back"
  | "too much deleted";

export interface Violation {
  readonly rule: Rule;
  readonly partition: string;
  readonly message: string;
}

/** A moment in a history: what was known by then. */
export interface Mark {
  readonly placements: number;
}

interface Placement {
  readonly batch: SentBatch;
  readonly baseOffset: number;
  /** Who said so first. */
  readonly by: string;
}

export class PartitionHistory {
  readonly partition: string;
  readonly #retention: Retention;
  readonly #sent = new Map<number, SentBatch>();
  readonly #placements: Placement[] = [];
  readonly #placementOf = new Map<number, Placement>();
  /** Offset → what lies there. */
  readonly #owners = new Map<number, Placement>();
  #logStart = 0;
  #logStartBy = "the beginning";
  #logEnd = 0;
  #logEndBy = "the beginning";
  /** Up to here it is explained why the records are gone: DeleteRecords was asked for, or retention was due. */
  #explainedUpTo = 0;

  constructor(partition: string, retention: Retention = {}) {
    this.partition = partition;
    this.#retention = retention;
  }

  /** The offset after the last record that is known to be stored. */
  get logEnd(): number {
    return this.#logEnd;
  }

  get logStart(): number {
    return this.#logStart;
  }

  hasSent(batch: number): boolean {
    return this.#sent.has(batch);
  }

  /** What is known now: a snapshot that is begun after it must contain that. */
  mark(): Mark {
    return { placements: this.#placements.length };
  }

  /** Before its first byte leaves. */
  sent(batch: SentBatch): void {
    this.#sent.set(batch.id, batch);
  }

  /** DeleteRecords was asked for, whatever came of it. */
  deletionSent(beforeOffset: number): void {
    this.#explainedUpTo = Math.max(this.#explainedUpTo, beforeOffset);
  }

  acked(batch: number, baseOffset: number, by: string): Violation[] {
    const found = new Findings(this.partition);
    this.#place(batch, baseOffset, by, found);
    return found.violations;
  }

  /** What someone was told of the log's ends. Answers may overtake one another: say only what was asked after `asked`. */
  bounds(logStart: number, logEnd: number, by: string, asked = this.ends()): Violation[] {
    const found = new Findings(this.partition);
    if (logStart < asked.logStart) {
      found.add("log start moved back", `${by}: ${logStart}, but ${this.#logStartBy} knew ${asked.logStart}`);
    }
    if (logEnd < asked.logEnd) {
      found.add("log end moved back", `${by}: ${logEnd}, but ${this.#logEndBy} knew ${asked.logEnd}`);
    }
    if (logStart > this.#logStart) {
      this.#logStart = logStart;
      this.#logStartBy = by;
    }
    this.#ended(logEnd, by);
    return found.violations;
  }

  /** The log's ends as known now. */
  ends(): { readonly logStart: number; readonly logEnd: number } {
    return { logStart: this.#logStart, logEnd: this.#logEnd };
  }

  /** What a follower received from `position` on: nothing may be missing in between. */
  followed(position: number, records: readonly SeenRecord[], by: string): Violation[] {
    const found = new Findings(this.partition);
    this.#contiguous(position, records, by, found);
    for (const record of records) this.#see(record, by, found);
    return found.violations;
  }

  /** The whole log, read after `since` was taken. */
  whole(snapshot: Snapshot, since: Mark, by: string): Violation[] {
    const found = new Findings(this.partition);
    const known = this.#placements.slice(0, since.placements);
    this.#contiguous(snapshot.logStart, snapshot.records, by, found);
    for (const record of snapshot.records) this.#see(record, by, found);
    this.#complete(known, snapshot, by, found);
    this.#ordered(snapshot, by, found);
    this.#retained(snapshot, by, found);
    return found.violations;
  }

  #contiguous(from: number, records: readonly SeenRecord[], by: string, found: Findings): void {
    let next = from;
    for (const { offset } of records) {
      if (offset !== next) {
        const rule = offset < next ? "duplicate" : "hole";
        const message = `${by}: offset ${offset} follows ${next - 1}`;
        found.add(rule, message);
      }
      next = offset + 1;
    }
  }

  #see({ offset, batch, index }: SeenRecord, by: string, found: Findings): void {
    const sent = this.#sent.get(batch);
    if (sent === undefined || index < 0 || index >= sent.records) {
      const message = `${by}: offset ${offset} holds record ${index} of batch ${batch}, which was not sent here`;
      found.add("foreign record", message);
      return;
    }
    this.#place(batch, offset - index, by, found);
  }

  #place(id: number, baseOffset: number, by: string, found: Findings): void {
    const known = this.#placementOf.get(id);
    if (known?.baseOffset === baseOffset) return;
    const batch = this.#sent.get(id);
    if (batch === undefined) {
      found.add("foreign record", `${by}: batch ${id} was never sent here`);
      return;
    }
    const offsets = Array.from({ length: batch.records }, (_, index) => baseOffset + index);
    const owned = offsets.find((offset) => this.#owners.has(offset));
    const owner = owned === undefined ? undefined : this.#owners.get(owned);
    if (known !== undefined) {
      found.add(
        "duplicate",
        `${by}: ${describe(batch)} lies at ${baseOffset}, and at ${known.baseOffset} by ${known.by}`,
      );
    } else if (owner !== undefined) {
      found.add(
        "changed record",
        `${by}: offset ${owned} belongs to ${describe(batch)}, but ${owner.by} knew ${describe(owner.batch)} there`,
      );
    } else {
      const placement = { batch, baseOffset, by };
      for (const offset of offsets) this.#owners.set(offset, placement);
      this.#placements.push(placement);
      this.#placementOf.set(id, placement);
      this.#ended(baseOffset + batch.records, by);
    }
  }

  #ended(logEnd: number, by: string): void {
    if (logEnd <= this.#logEnd) return;
    this.#logEnd = logEnd;
    this.#logEndBy = by;
  }

  /** Whatever was known to be stored is there, and every batch wholly. */
  #complete(
    known: readonly Placement[],
    { logStart, logEnd, records }: Snapshot,
    by: string,
    found: Findings,
  ): void {
    const offsets = new Set(records.map(({ offset }) => offset));
    for (const { batch, baseOffset, by: knower } of known) {
      for (let offset = Math.max(baseOffset, logStart); offset < baseOffset + batch.records; offset++) {
        if (offsets.has(offset)) continue;
        const message = `${by}: offset ${offset} is missing from ${logStart} to ${logEnd}; ${knower} knew ${describe(batch)} at ${baseOffset}`;
        found.add("loss", message);
        break;
      }
    }
    const last = records.at(-1);
    const batch = last === undefined ? undefined : this.#sent.get(last.batch);
    if (last !== undefined && batch !== undefined && last.index !== batch.records - 1) {
      const message = `${by}: the log ends at ${logEnd} after record ${last.index} of ${describe(batch)}`;
      found.add("torn batch", message);
    }
  }

  #ordered({ records }: Snapshot, by: string, found: Findings): void {
    const lanes = new Map<string, SentBatch>();
    for (const { offset, batch: id } of records) {
      const batch = this.#sent.get(id);
      if (batch === undefined) continue;
      const before = lanes.get(batch.lane);
      lanes.set(batch.lane, batch);
      if (before === undefined || batch.order === before.order || batch.order === before.order + 1) continue;
      const message = `${by}: at ${offset} ${describe(batch)} follows ${describe(before)}`;
      found.add("reorder", message);
    }
  }

  #retained({ logStart, bytes, takenAtMs }: Snapshot, by: string, found: Findings): void {
    const { bytes: bytesKept = Number.POSITIVE_INFINITY, ms = Number.POSITIVE_INFINITY } = this.#retention;
    for (let offset = this.#explainedUpTo; offset < logStart && bytes < bytesKept; offset++) {
      const owner = this.#owners.get(offset);
      const writtenMs = owner?.batch.timestampMs ?? 0;
      if (ms !== Number.POSITIVE_INFINITY && writtenMs + ms < takenAtMs) continue;
      const what = owner === undefined ? "" : `, ${describe(owner.batch)}`;
      const message = `${by}: the log starts at ${logStart} and has ${bytes} bytes; nothing lets go of offset ${offset}${what}`;
      found.add("too much deleted", message);
      return;
    }
    this.#explainedUpTo = Math.max(this.#explainedUpTo, logStart);
  }
}

class Findings {
  readonly violations: Violation[] = [];
  readonly #partition: string;

  constructor(partition: string) {
    this.#partition = partition;
  }

  add(rule: Rule, message: string): void {
    this.violations.push({ rule, partition: this.#partition, message });
  }
}

function describe({ id, lane, order, records }: SentBatch): string {
  return `batch ${id} (${lane} #${order}, ${records} records)`;
}
