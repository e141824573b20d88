/**
 * Deadlines, and one alarm for the earliest of them. They are memory only: whoever sets one can say it again from what is
 * stored. A deadline that moves later, as every heartbeat's does, costs nothing: the alarm finds nothing due and is set
 * anew.
 */
export class Timers {
  readonly #deadlines = new Map<string, number>();
  readonly #setAlarm: (atMs: number) => void;
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #isHeld = true;

  /** No alarm is set before the first {@link rearm}. */
  constructor(setAlarm: (atMs: number) => void) {
    this.#setAlarm = setAlarm;
  }

  set(key: string, atMs: number): void {
    this.#deadlines.set(key, atMs);
    if (!this.#isHeld && atMs < this.#alarmAtMs) this.#arm(atMs);
  }

  cancel(key: string): void {
    this.#deadlines.delete(key);
  }

  isSet(key: string): boolean {
    return this.#deadlines.has(key);
  }

  /** When the earliest deadline is, or undefined if there is none. */
  get nextAtMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const atMs of this.#deadlines.values()) next = Math.min(next, atMs);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** The next deadline that has come, no longer set. */
  takeDue(nowMs: number): string | undefined {
    let due: string | undefined;
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const [key, atMs] of this.#deadlines) {
      if (atMs > nowMs || atMs >= dueAtMs) continue;
      due = key;
      dueAtMs = atMs;
    }
    if (due !== undefined) this.#deadlines.delete(due);
    return due;
  }

  /** From now on there is an alarm for the earliest deadline; `alarmAtMs`: there is one already. */
  rearm(alarmAtMs: number | null): void {
    this.#isHeld = false;
    this.#alarmAtMs = alarmAtMs ?? Number.POSITIVE_INFINITY;
    const next = this.nextAtMs;
    if (next !== undefined && next < this.#alarmAtMs) this.#arm(next);
  }

  #arm(atMs: number): void {
    this.#alarmAtMs = atMs;
    this.#setAlarm(atMs);
  }
}
