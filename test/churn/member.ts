import type { MemberLog } from "./check.ts";

/** A member of the group, to be killed: a process, or a browser. */
export interface Member {
  readonly name: string;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<void>;
  /** Whether it has been assigned something. */
  hasJoined(): Promise<boolean>;
  /** It has no time to say anything to anyone. */
  kill(): Promise<void>;
  /** Asks it to leave its group and end. */
  stop(): Promise<void>;
  log(): Promise<MemberLog>;
}

/** What it says goes to `<path>.log`, its complaints to `<path>.err`. */
export type StartMember = (name: string, path: string) => Member;

/** What every member is started with. */
export interface MemberTarget {
  readonly bootstrap: string;
  /** Of the cluster's HTTP; empty if it has none. */
  readonly url: string;
  readonly topic: string;
  readonly group: string;
  readonly protocol: string;
}
