/**
 * Makes Node an isolate whose every answer the seed decides: what workerd has and Node lacks, what would tell the real
 * time or draw real random numbers, and modules whose state or whose limits a seed sets. To be imported before whatever
 * imports those.
 */

import { registerHooks } from "node:module";
import { Connection } from "./connection.ts";
import { Instance } from "./instance.ts";
import type { Platform } from "./platform.ts";
import { SimulatedFixedLengthStream } from "./stream.ts";

const here = (file: string) => new URL(file, import.meta.url).href;

const STAND_INS: ReadonlyMap<string, string> = new Map([
  [here("../../src/model/limits.ts"), here("small-limits.ts")],
  [here("../../durable-objects/partition/tail-cache.ts"), here("isolate-memory.ts")],
  [here("../../src/subscribe/unsent-budget.ts"), here("isolate-memory.ts")],
]);

let inhabited: Platform | undefined;

/** From now on the globals are this platform's. */
export function inhabit(platform: Platform): void {
  inhabited = platform;
}

function platform(): Platform {
  if (inhabited === undefined) throw new Error("there is no platform yet");
  return inhabited;
}

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "cloudflare:workers") return next(here("cloudflare-workers.ts"), context);
    const resolved = next(specifier, context);
    const standIn = STAND_INS.get(resolved.url);
    return standIn === undefined || standIn === context.parentURL ? resolved : { ...resolved, url: standIn };
  },
});

interface Timer {
  isOver: boolean;
  readonly owner: Instance | undefined;
}

function setSimulatedTimeout(run: () => void, ms = 0): Timer {
  const { scheduler } = platform();
  const owner = scheduler.current instanceof Instance ? scheduler.current : undefined;
  const timer: Timer = { isOver: false, owner };
  if (owner !== undefined) owner.pending++;
  scheduler.after(ms, () => {
    if (timer.isOver) return;
    const ring = () => {
      clearSimulatedTimeout(timer);
      run();
    };
    if (owner === undefined) ring();
    else owner.turn(ring);
  });
  return timer;
}

function clearSimulatedTimeout(timer: Timer | undefined): void {
  if (timer === undefined || timer.isOver) return;
  timer.isOver = true;
  if (timer.owner !== undefined) timer.owner.pending--;
}

/** Which connection a pair belongs to is decided by who makes it. */
class SimulatedWebSocketPair {
  readonly 0: Connection;
  readonly 1: unknown;

  constructor() {
    const { current } = platform().scheduler;
    if (!(current instanceof Instance)) throw new Error("only objects have sockets here");
    this[0] = new Connection(current.host);
    this[1] = this[0].serverEnd(current);
  }
}

/** Node's own knows no upgrades. */
class SimulatedResponse extends Response {
  readonly #isUpgrade: boolean;
  readonly #webSocket: unknown;

  constructor(body?: BodyInit | null, init: ResponseInit = {}) {
    const isUpgrade = init.status === 101;
    super(body, isUpgrade ? { ...init, status: 200 } : init);
    this.#isUpgrade = isUpgrade;
    this.#webSocket = init.webSocket ?? null;
  }

  override get status(): number {
    return this.#isUpgrade ? 101 : super.status;
  }

  override get webSocket(): never {
    return this.#webSocket as never;
  }
}

Object.assign(globalThis, {
  setTimeout: setSimulatedTimeout,
  clearTimeout: clearSimulatedTimeout,
  FixedLengthStream: SimulatedFixedLengthStream,
  WebSocketPair: SimulatedWebSocketPair,
  WebSocketRequestResponsePair: class {},
  Response: SimulatedResponse,
});
const realNow = Date.now;
Date.now = () => inhabited?.scheduler.clock() ?? realNow();
Math.random = () => platform().random.next();
crypto.getRandomValues = <T extends ArrayBufferView | null>(array: T): T => {
  if (array instanceof Uint8Array) {
    for (let index = 0; index < array.length; index++) array[index] = platform().random.integer(0, 255);
  }
  return array;
};
for (const level of ["log", "warn", "error"] as const) {
  const say = console[level];
  console[level] = (...words: unknown[]) => {
    if (inhabited === undefined) say(...words);
    else inhabited.note(() => words.map(String).join(" "));
  };
}
