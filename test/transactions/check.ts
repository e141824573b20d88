/**
 * What must hold of a loop that reads, processes and writes in transactions, whatever became of its workers, found in what
 * readers see of its output when all is over and in what was asked of the group's coordinator meanwhile:
 *
 * - every record of the input is in what a read_committed reader sees, once;
 * - those of one partition of the input come in its order, in each partition of the output;
 * - nothing of a transaction that its worker meant to abort is among them;
 * - a read_uncommitted reader sees the same records at the same offsets, and what was aborted besides;
 * - two readers of one isolation see the same;
 * - committed offsets never go back, are never below what a worker was told to be committed, and are the input's ends at
 *   last.
 */

import type { CommittedOffsets, MemberLog } from "../churn/check.ts";
import { type Output, parseOutput } from "./output.ts";

export type Isolation = "read_committed" | "read_uncommitted";

export interface SeenRecord {
  readonly offset: number;
  readonly value: string;
}

/** What one reader has seen of the whole output. */
export interface View {
  readonly reader: string;
  readonly isolation: Isolation;
  /** Of each partition of the output, in the order in which they came. */
  readonly partitions: readonly (readonly SeenRecord[])[];
}

export interface LoopHistory {
  /** The log end of each partition of the input. */
  readonly ends: readonly number[];
  readonly views: readonly View[];
  readonly workers: readonly MemberLog[];
  /** In the order in which they were asked for. */
  readonly committed: readonly CommittedOffsets[];
}

export interface LoopReport {
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
}

/** A worker says so of a transaction that it has aborted, with all of its records written. */
export const ABORTED_NOTE = /^aborted (\d+)$/;

export function checkLoop(history: LoopHistory): LoopReport {
  const check = new Check(history);
  check.run();
  return { violations: check.violations, counts: check.counts };
}

class Check {
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  readonly #history: LoopHistory;

  constructor(history: LoopHistory) {
    this.#history = history;
  }

  run(): void {
    const { ends, views } = this.#history;
    this.#count(
      "records of the input",
      ends.reduce((sum, end) => sum + end, 0),
    );
    for (const view of views) {
      this.#offsetsAscend(view);
      if (view.isolation === "read_committed") this.#exactlyOnce(view);
    }
    this.#readersAgree();
    const aborted = this.#workers();
    this.#uncommitted(aborted);
    this.#committed();
  }

  #offsetsAscend({ reader, isolation, partitions }: View): void {
    for (const [partition, records] of partitions.entries()) {
      this.#count(`records seen by ${reader}, ${isolation}`, records.length);
      let last = -1;
      for (const { offset } of records) {
        if (offset <= last) {
          this.#wrong(
            `${reader}, ${isolation}: offset ${offset} of partition ${partition} comes after ${last}`,
          );
        }
        last = offset;
      }
    }
  }

  #exactlyOnce({ reader, partitions }: View): void {
    const { ends } = this.#history;
    const seen = ends.map((end) => new Uint8Array(end));
    for (const [partition, records] of partitions.entries()) {
      const last = new Map<number, number>();
      for (const { offset, value } of records) {
        const where = `${reader}: offset ${offset} of partition ${partition}`;
        const output = parseOutput(value);
        if (output === undefined || !isOfInput(output, ends)) {
          this.#wrong(`${where} is no record of the input: ${JSON.stringify(value)}`);
          continue;
        }
        const { inputPartition, inputOffset, fate } = output;
        const record = `record ${inputOffset} of input partition ${inputPartition}`;
        if (fate === "abort") this.#wrong(`${where}, ${record}, is of a transaction that was to be aborted`);
        const times = seen[inputPartition];
        if (times?.[inputOffset]) this.#wrong(`${where}: ${record} is there for the second time`);
        else if (times !== undefined) times[inputOffset] = 1;
        const before = last.get(inputPartition) ?? -1;
        if (inputOffset < before) this.#wrong(`${where}: ${record} comes after ${before}`);
        last.set(inputPartition, Math.max(before, inputOffset));
      }
    }
    for (const [partition, times] of seen.entries()) {
      const missing = times.reduce((sum, one) => sum + (one === 0 ? 1 : 0), 0);
      if (missing === 0) continue;
      const first = times.indexOf(0);
      this.#wrong(
        `${reader}: ${missing} records of input partition ${partition} are missing, ${first} the first`,
      );
    }
  }

  #readersAgree(): void {
    for (const isolation of ["read_committed", "read_uncommitted"] as const) {
      const [first, ...others] = this.#history.views.filter((view) => view.isolation === isolation);
      if (first === undefined) continue;
      for (const other of others) {
        for (const [partition, records] of first.partitions.entries()) {
          const difference = firstDifference(records, other.partitions[partition] ?? []);
          if (difference === undefined) continue;
          this.#wrong(
            `${first.reader} and ${other.reader}, ${isolation}: partition ${partition} differs at ${difference}`,
          );
        }
      }
    }
  }

  /** Returns how many records they have aborted. */
  #workers(): number {
    let aborted = 0;
    for (const { name, end, events } of this.#history.workers) {
      this.#count(
        `workers ${end === "killed" ? "killed" : end === "stopped" ? "that left" : "that ended by themselves"}`,
      );
      for (const event of events) {
        if (event.kind === "wrong") this.#wrong(`${name}: ${event.text}`);
        else if (event.kind === "committed") this.#count("transactions committed");
        else if (event.kind === "note") {
          const records = ABORTED_NOTE.exec(event.text)?.[1];
          this.#count(records === undefined ? "transactions that failed" : "transactions aborted");
          aborted += Number(records ?? 0);
        }
      }
    }
    return aborted;
  }

  /** `aborted` records at least, besides what is committed, were written. */
  #uncommitted(aborted: number): void {
    const committed = this.#history.views.find(({ isolation }) => isolation === "read_committed");
    if (committed === undefined) return;
    for (const view of this.#history.views) {
      if (view.isolation !== "read_uncommitted") continue;
      let more = 0;
      for (const [partition, records] of view.partitions.entries()) {
        const there = new Map(records.map(({ offset, value }) => [offset, value]));
        const own = committed.partitions[partition] ?? [];
        more += records.length - own.length;
        const absent = own.find(({ offset, value }) => there.get(offset) !== value);
        if (absent === undefined) continue;
        this.#wrong(
          `${view.reader}, read_uncommitted: offset ${absent.offset} of partition ${partition} is not what is committed there`,
        );
      }
      this.#count(`records that only ${view.reader}, read_uncommitted, sees`, more);
      if (more < aborted) {
        this.#wrong(
          `${view.reader}, read_uncommitted, sees ${more} records more than are committed, and ${aborted} were aborted`,
        );
      }
    }
  }

  #committed(): void {
    const { ends, committed, workers } = this.#history;
    const told = workers
      .flatMap(({ events }) => events.filter((event) => event.kind === "committed"))
      .sort((one, other) => one.ms - other.ms);
    const least = ends.map(() => -1);
    let nextTold = 0;
    for (const { askedMs, offsets } of committed) {
      this.#count("times the committed offsets were asked for");
      for (let one = told[nextTold]; one !== undefined && one.ms < askedMs; one = told[++nextTold]) {
        for (const [partition, offset] of one.offsets)
          least[partition] = Math.max(least[partition] ?? -1, offset);
      }
      for (const [partition, offset] of offsets.entries()) {
        const bound = least[partition] ?? -1;
        if (offset < bound)
          this.#wrong(`input partition ${partition}: ${offset} is committed after ${bound}`);
        least[partition] = Math.max(bound, offset);
      }
    }
    for (const [partition, end] of ends.entries()) {
      const offset = committed.at(-1)?.offsets[partition] ?? -1;
      if (offset !== end && end > 0) {
        this.#wrong(
          `input partition ${partition}: ${offset} is committed in the end, its log ends at ${end}`,
        );
      }
    }
  }

  #wrong(text: string): void {
    this.violations.push(text);
  }

  #count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }
}

function isOfInput({ inputPartition, inputOffset }: Output, ends: readonly number[]): boolean {
  return inputOffset < (ends[inputPartition] ?? 0);
}

function firstDifference(records: readonly SeenRecord[], others: readonly SeenRecord[]): string | undefined {
  for (let index = 0; index < Math.max(records.length, others.length); index++) {
    const one = records[index];
    const other = others[index];
    if (one?.offset === other?.offset && one?.value === other?.value) continue;
    return `${JSON.stringify(one ?? null)}, ${JSON.stringify(other ?? null)}`;
  }
  return undefined;
}
