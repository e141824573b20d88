import { join } from "node:path";
import type { MemberLog } from "./check.ts";
import { type Member, type MemberCommand, MemberProcess } from "./member-process.ts";

/** The members of the group, those that live and those that have ended. */
export class Crowd {
  readonly #directory: string;
  readonly #command: () => MemberCommand;
  readonly #all: Member[] = [];
  readonly #alive = new Set<Member>();

  constructor(directory: string, command: () => MemberCommand) {
    this.#directory = directory;
    this.#command = command;
  }

  get alive(): readonly Member[] {
    return [...this.#alive];
  }

  add(): Member {
    const name = `member-${this.#all.length}`;
    const member = new MemberProcess(name, join(this.#directory, name), this.#command());
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
