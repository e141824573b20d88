import { KAFKA_FETCH_BYTES_IN_FLIGHT_MAX, KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX } from "../model/limits.ts";

/** Bytes that everyone in an isolate shares. */
export class ByteBudget {
  readonly #total: number;
  #taken = 0;

  constructor(total: number) {
    this.#total = total;
  }

  get left(): number {
    return Math.max(0, this.#total - this.#taken);
  }

  take(bytes: number): void {
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

/** Requests that are being read or worked on, but for those that fit into one read. */
export const requestBytes = new ByteBudget(KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX);
/** Record batches that have been read for a Fetch and are not sent yet. */
export const fetchBytes = new ByteBudget(KAFKA_FETCH_BYTES_IN_FLIGHT_MAX);
