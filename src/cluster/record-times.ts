import { RECORD_TIMES_CACHED_MAX } from "../model/limits.ts";

/**
 * Times of records that were looked up in R2. The record at an offset never becomes another one, so a reader that stands
 * still is looked up once however often someone asks how far it lags; those least recently asked for go first.
 */
export class RecordTimes {
  readonly #times = new Map<string, number>();

  get(record: string): number | undefined {
    const timestampMs = this.#times.get(record);
    if (timestampMs === undefined) return undefined;
    this.#times.delete(record);
    this.#times.set(record, timestampMs);
    return timestampMs;
  }

  set(record: string, timestampMs: number): void {
    this.#times.set(record, timestampMs);
    if (this.#times.size <= RECORD_TIMES_CACHED_MAX) return;
    const [oldest] = this.#times.keys();
    if (oldest !== undefined) this.#times.delete(oldest);
  }
}
