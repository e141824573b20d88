/**
 * What must hold of a group, whatever became of its members, found in what they have said of themselves and in what was
 * asked of the coordinator meanwhile:
 *
 * - every record was processed at least once;
 * - an owner begins no later than where the owners before it had come to, and leaves nothing out from there on;
 * - it has each partition in order;
 * - a partition has no two owners at a time;
 * - committed offsets never go back, are never below what a member was told to be committed, and never above what was
 *   processed.
 */

import { Coverage } from "./coverage.ts";
import type { MemberEvent } from "./events.ts";
import { type Ownership, ownerships } from "./ownerships.ts";

export interface MemberLog {
  readonly name: string;
  readonly end: "killed" | "stopped" | "by itself";
  readonly endMs: number;
  readonly events: readonly MemberEvent[];
}

/** The committed offset of each partition, -1 where there is none. */
export interface CommittedOffsets {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly offsets: readonly number[];
}

export interface ChurnHistory {
  /** The log end of each partition. */
  readonly ends: readonly number[];
  readonly members: readonly MemberLog[];
  /** In the order in which they were asked for. */
  readonly committed: readonly CommittedOffsets[];
}

/** What a client does by itself, whatever the coordinator does; each is counted instead. */
export interface Allowances {
  /** It delivers records of a partition again that it keeps. */
  readonly rewinds?: boolean;
  /** It delivers records that it had fetched before it gave their partition up. */
  readonly deliversLate?: boolean;
}

export interface ChurnReport {
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
}

export function checkChurn(history: ChurnHistory, allowances: Allowances = {}): ChurnReport {
  const check = new Check(history, allowances);
  check.run();
  return { violations: check.violations, counts: check.counts };
}

class Check {
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  readonly #history: ChurnHistory;
  readonly #allowances: Allowances;
  readonly #coverage: Coverage;

  constructor(history: ChurnHistory, allowances: Allowances) {
    this.#history = history;
    this.#allowances = allowances;
    this.#coverage = new Coverage(history.members);
  }

  run(): void {
    this.#everyRecord();
    const all = ownerships(this.#history.members);
    for (const ownership of all) {
      if (ownership.isAssigned) this.#inOrder(ownership);
      this.#inTime(ownership);
    }
    this.#oneOwner(all);
    this.#committed();
    for (const { name, end, events } of this.#history.members) {
      this.#count(
        `members ${end === "killed" ? "killed" : end === "stopped" ? "that left" : "that ended by themselves"}`,
      );
      for (const event of events) {
        if (event.kind === "wrong") this.violations.push(`${name}: ${event.text}`);
        if (event.kind === "committed") this.#count("commits");
      }
    }
  }

  #everyRecord(): void {
    for (const [partition, end] of this.#history.ends.entries()) {
      const processed = this.#coverage.processed(partition);
      this.#count("records", end);
      this.#count("records processed", processed);
      this.#count("records processed again", Math.max(0, processed - end));
      const missing = this.#coverage.missing(partition, end);
      if (missing !== undefined) {
        this.violations.push(
          `partition ${partition}: records ${missing[0]} to ${missing[1]} of ${end} were never processed`,
        );
      }
    }
  }

  #inOrder({ member, partition, ownership, runs }: Ownership): void {
    this.#count("ownerships");
    const where = `${member}, partition ${partition} in ownership ${ownership}`;
    let next: number | undefined;
    for (const { ms, first, last } of runs) {
      if (next === undefined) {
        const reached = this.#coverage.reached(partition, ms);
        if (first > reached) {
          this.violations.push(
            `${where} begins at ${first}, and only those before ${reached} had been processed`,
          );
        }
      } else if (first > next) {
        this.violations.push(`${where} goes from ${next - 1} to ${first}`);
      } else if (first < next) {
        this.#count("times that an owner went back");
        if (this.#allowances.rewinds !== true)
          this.violations.push(`${where} goes back from ${next - 1} to ${first}`);
      }
      next = last + 1;
    }
  }

  #inTime({ member, partition, isAssigned, runs, untilMs }: Ownership): void {
    for (const { ms, first, last } of runs) {
      if (ms <= untilMs) continue;
      this.#count("records delivered after they were given up", last - first + 1);
      if (this.#allowances.deliversLate === true) continue;
      const late = isAssigned ? `${ms - untilMs} ms after it was given up` : "which it was never assigned";
      this.violations.push(`${member}, partition ${partition}, has ${first} to ${last} ${late}`);
    }
  }

  /** Who finds out that it has lost a partition is a member no longer, and was told so by nobody until then. */
  #oneOwner(all: readonly Ownership[]): void {
    for (const [partition] of this.#history.ends.entries()) {
      const owners = all.filter((owner) => owner.partition === partition && owner.isAssigned);
      owners.sort((one, other) => one.fromMs - other.fromMs);
      for (const [index, owner] of owners.entries()) {
        for (const other of owners.slice(index + 1)) {
          if (other.fromMs >= owner.untilMs) break;
          if (other.member === owner.member) continue;
          if (owner.end === "lost") this.#count("owners that had lost a partition without knowing");
          else
            this.violations.push(
              `partition ${partition} is ${owner.member}'s until ${owner.untilMs} and ${other.member}'s from ${other.fromMs} on (${owner.untilMs - other.fromMs} ms)`,
            );
        }
      }
    }
  }

  #committed(): void {
    const told = this.#told();
    const before: number[] = this.#history.ends.map(() => -1);
    const high: number[] = this.#history.ends.map(() => -1);
    let nextTold = 0;
    for (const { askedMs, answeredMs, offsets } of this.#history.committed) {
      this.#count("times the committed offsets were asked for");
      for (let one = told[nextTold]; one !== undefined && one.ms < askedMs; one = told[++nextTold]) {
        high[one.partition] = Math.max(high[one.partition] ?? -1, one.offset);
      }
      for (const [partition, offset] of offsets.entries()) {
        const last = before[partition] ?? -1;
        if (offset < last) {
          this.violations.push(
            `partition ${partition}: the committed offset goes back from ${last} to ${offset}`,
          );
        }
        const least = high[partition] ?? -1;
        if (offset < least) {
          this.violations.push(
            `partition ${partition}: ${offset} is committed, after a commit of ${least} was acknowledged`,
          );
        }
        const reached = this.#coverage.reached(partition, answeredMs);
        if (offset > reached) {
          this.violations.push(
            `partition ${partition}: ${offset} is committed, and only those before ${reached} processed`,
          );
        }
        before[partition] = offset;
      }
    }
    for (const [partition, end] of this.#history.ends.entries()) {
      const offset = before[partition] ?? -1;
      if (offset !== end && end > 0) {
        this.violations.push(
          `partition ${partition}: ${offset} is committed in the end, its log ends at ${end}`,
        );
      }
    }
  }

  #told(): { ms: number; partition: number; offset: number }[] {
    const told = this.#history.members.flatMap(({ events }) =>
      events.flatMap((event) =>
        event.kind === "committed"
          ? event.offsets.map(([partition, offset]) => ({ ms: event.ms, partition, offset }))
          : [],
      ),
    );
    return told.sort((one, other) => one.ms - other.ms);
  }

  #count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }
}
