/**
 * Who has been heard lately. A heartbeat moves a deadline in memory and writes nothing.
 *
 * When the object wakes it cannot know who was heard before, so every member is given its session timeout anew, and that
 * deadline is stored. A member that has been given one and is not heard from keeps it when the object wakes again:
 * otherwise a group whose members are all dead would be woken by its alarm for ever.
 */

import type { Clock } from "../partition/storage.ts";
import type { GroupStore, StoredMember } from "./group-store.ts";
import type { Timers } from "./timers.ts";

const PREFIX = "session ";

export class Sessions {
  readonly #store: GroupStore;
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #silent = new Set<string>();

  constructor(store: GroupStore, timers: Timers, clock: Clock) {
    this.#store = store;
    this.#timers = timers;
    this.#clock = clock;
  }

  /** The member whose session such a timer ends, or undefined if it is another timer. */
  static memberOf(timer: string): string | undefined {
    return timer.startsWith(PREFIX) ? timer.slice(PREFIX.length) : undefined;
  }

  /** The object has woken. `timeoutMs`: null for a member with a socket. */
  restore({ memberId, silentUntilMs }: StoredMember, timeoutMs: number | null): void {
    if (timeoutMs === null) {
      if (silentUntilMs !== null) this.#store.setSilentUntil(memberId, null);
      return;
    }
    const untilMs = silentUntilMs ?? this.#clock.now() + timeoutMs;
    if (silentUntilMs === null) this.#store.setSilentUntil(memberId, untilMs);
    this.#silent.add(memberId);
    this.#timers.set(PREFIX + memberId, untilMs);
  }

  /** The session ends unless the member is heard again within `timeoutMs`. */
  heard(memberId: string, timeoutMs: number): void {
    if (this.#silent.delete(memberId)) this.#store.setSilentUntil(memberId, null);
    this.#timers.set(PREFIX + memberId, this.#clock.now() + timeoutMs);
  }

  /** Its socket has gone: the session ends then, however often the object wakes before. */
  lost(memberId: string, timeoutMs: number): void {
    const untilMs = this.#clock.now() + timeoutMs;
    this.#store.setSilentUntil(memberId, untilMs);
    this.#silent.add(memberId);
    this.#timers.set(PREFIX + memberId, untilMs);
  }

  /** It has a socket, which tells when it is gone: the session has no end. */
  present(memberId: string): void {
    if (this.#silent.delete(memberId)) this.#store.setSilentUntil(memberId, null);
    this.#timers.cancel(PREFIX + memberId);
  }

  end(memberId: string): void {
    this.#silent.delete(memberId);
    this.#timers.cancel(PREFIX + memberId);
  }
}
