import { join } from "node:path";
import type { MemberLog } from "./check.ts";
import type { Member, StartMember } from "./member.ts";

/** The members of the group, those that live and those that have ended. */
export class Crowd {
  readonly #directory: string;
  readonly #start: StartMember;
  readonly #all: Member[] = [];
  readonly #alive = new Set<Member>();

  constructor(directory: string, start: StartMember) {
    this.#directory = directory;
    this.#start = start;
  }

  get alive(): readonly Member[] {
    return [...this.#alive];
  }

  /** Those that have been assigned something already: what becomes of the others nobody in the group would notice. */
  async joined(): Promise<readonly Member[]> {
    const alive = this.alive;
    const have = await Promise.all(alive.map((member) => member.hasJoined()));
    return alive.filter((_, index) => have[index]);
  }

  add(): Member {
    const name = `member-${this.#all.length}`;
    const member = this.#start(name, join(this.#directory, name));
    this.#all.push(member);
    this.#alive.add(member);
    void member.ended.then(() => this.#alive.delete(member));
    return member;
  }

  /** Adds members until so many live. */
  fill(count: number): void {
    while (this.#alive.size < count) this.add();
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.alive.map((member) => member.stop()));
  }

  logs(): Promise<MemberLog[]> {
    return Promise.all(this.#all.map((member) => member.log()));
  }
}
