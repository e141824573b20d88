import { ALARM_RETRY_MS } from "../../src/model/limits.ts";
import type { Clock } from "../partition/storage.ts";
import type { CurrentGroup } from "./current-group.ts";
import type { GroupOffsets } from "./group-offsets.ts";
import type { GroupStore } from "./group-store.ts";
import type { Registration } from "./registration.ts";
import type { Timers } from "./timers.ts";

export const CLOSE_TIMER = "close";

export interface RemovalContext {
  readonly current: CurrentGroup;
  readonly store: GroupStore;
  readonly offsets: GroupOffsets;
  readonly registration: Registration;
  readonly timers: Timers;
  readonly clock: Clock;
}

/** The end of a group: first all that it holds goes, then its entry in the Controller's list. */
export class Removal {
  readonly #context: RemovalContext;

  constructor(context: RemovalContext) {
    this.#context = context;
  }

  /** Everything but that the Controller is still to be told. */
  remove(): void {
    const { clock, current, offsets, store, timers } = this.#context;
    if (current.value?.type === "classic") current.value.dissolve();
    current.value = undefined;
    store.saveGroup(undefined);
    offsets.clear();
    store.setClosing(true);
    timers.set(CLOSE_TIMER, clock.now());
  }

  /** Offsets that have expired go, and the group with the last of them. */
  expire(): void {
    const { current, offsets } = this.#context;
    if (current.value !== undefined && offsets.expire(current.value)) this.remove();
  }

  async close(): Promise<void> {
    const { clock, registration, timers } = this.#context;
    const isClosed = await registration.close();
    if (isClosed) timers.cancel(CLOSE_TIMER);
    else timers.set(CLOSE_TIMER, clock.now() + ALARM_RETRY_MS.most);
  }
}
