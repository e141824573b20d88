import type { MemberLog } from "./check.ts";

export interface Run {
  readonly ms: number;
  readonly first: number;
  readonly last: number;
}

/** A member's having a partition, from when it was told to until it gave it up, lost it, or ended. */
export interface Ownership {
  readonly member: string;
  readonly partition: number;
  readonly ownership: number;
  /** Not so for records that came without it. */
  readonly isAssigned: boolean;
  readonly fromMs: number;
  untilMs: number;
  end: "revoked" | "lost" | "killed" | "stopped" | "by itself";
  /** In the order in which it processed them. */
  readonly runs: Run[];
}

export function ownerships(members: readonly MemberLog[]): Ownership[] {
  return members.flatMap(ownershipsOf);
}

function ownershipsOf({ name, end, endMs, events }: MemberLog): Ownership[] {
  const all = new Map<string, Ownership>();
  const current = new Map<number, Ownership>();
  const begin = (partition: number, ownership: number, fromMs: number, isAssigned: boolean): Ownership => {
    const untilMs = isAssigned ? endMs : Number.NEGATIVE_INFINITY;
    const owner = { member: name, partition, ownership, isAssigned, fromMs, untilMs, end, runs: [] };
    all.set(`${partition} ${ownership}`, owner);
    return owner;
  };
  for (const event of events) {
    if (event.kind === "assigned") {
      for (const partition of event.partitions) {
        current.set(partition, begin(partition, event.ownership, event.ms, true));
      }
    } else if (event.kind === "revoked" || event.kind === "lost") {
      for (const partition of event.partitions) {
        const owner = current.get(partition);
        if (owner === undefined) continue;
        owner.untilMs = event.ms;
        owner.end = event.kind;
        current.delete(partition);
      }
    } else if (event.kind === "processed") {
      const { partition, ownership, ms, first, last } = event;
      const owner = all.get(`${partition} ${ownership}`) ?? begin(partition, ownership, ms, false);
      owner.runs.push({ ms, first, last });
    }
  }
  // What it processed at the last moment was still its own.
  for (const owner of current.values()) owner.untilMs = Math.max(owner.untilMs, owner.runs.at(-1)?.ms ?? 0);
  return [...all.values()];
}
