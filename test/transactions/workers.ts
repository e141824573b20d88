/** The workers of a loop, those that live and those that have ended. */

import { join } from "node:path";
import type { MemberLog } from "../churn/check.ts";
import { type MemberCommand, MemberProcess } from "../churn/member-process.ts";
import type { Random } from "../crash/random.ts";
import { type LoopClient, type WorkerTarget, workerArguments } from "./clients.ts";

export interface WorkersOptions {
  readonly client: LoopClient;
  readonly command: MemberCommand;
  /** Where what they say goes. */
  readonly directory: string;
  readonly random: Random;
  readonly target: Omit<WorkerTarget, "transactionalId" | "seed">;
}

/** A new worker takes the transactional id of one that has ended, or of one that lives, which it fences by that. */
const DEAD_ID_PROBABILITY = 0.5;
const LIVE_ID_PROBABILITY = 0.1;

export class Workers {
  readonly #options: WorkersOptions;
  readonly #all: MemberProcess[] = [];
  readonly #alive = new Map<MemberProcess, string>();
  readonly #ids = new Set<string>();

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  get alive(): readonly MemberProcess[] {
    return [...this.#alive.keys()];
  }

  /** Those that have been assigned something already: what becomes of the others nobody in the group would notice. */
  async joined(): Promise<readonly MemberProcess[]> {
    const alive = this.alive;
    const have = await Promise.all(alive.map((worker) => worker.hasJoined()));
    return alive.filter((_, index) => have[index]);
  }

  add(): void {
    const { command, directory, random, target } = this.#options;
    const name = `worker-${this.#all.length}`;
    const transactionalId = this.#transactionalId(name);
    const own = workerArguments({ ...target, transactionalId, seed: random.integer(0, 2 ** 31) });
    const path = join(directory, name);
    const worker = new MemberProcess(name, path, { ...command, args: [...command.args, ...own] });
    this.#all.push(worker);
    this.#alive.set(worker, transactionalId);
    this.#ids.add(transactionalId);
    void worker.ended.then(() => this.#alive.delete(worker));
  }

  /** Adds workers until so many live. */
  fill(count: number): void {
    while (this.#alive.size < count) this.add();
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.alive.map((worker) => worker.stop()));
  }

  logs(): Promise<MemberLog[]> {
    return Promise.all(this.#all.map((worker) => worker.log()));
  }

  #transactionalId(name: string): string {
    const { client, random, target } = this.#options;
    if (!client.sendsGroupMetadata) return target.group;
    const draw = random.next();
    const live = [...this.#alive.values()];
    const dead = [...this.#ids].filter((id) => !live.includes(id));
    const [first, ...others] =
      draw < DEAD_ID_PROBABILITY ? dead : draw < DEAD_ID_PROBABILITY + LIVE_ID_PROBABILITY ? live : [];
    return first === undefined ? `${target.group}-${name}` : random.pick([first, ...others]);
  }
}
