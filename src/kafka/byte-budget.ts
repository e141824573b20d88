import { KAFKA_FETCH_BYTES_IN_FLIGHT_MAX, KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX } from "../model/limits.ts";

const POLL_MS = 20;
/** Who has not looked for so long is taken for gone, as its connection is; whoever comes back stands at the end. */
const FORGOTTEN_MS = 2_000;

/** Bytes that everyone in an isolate shares. */
export class ByteBudget {
  readonly #total: number;
  #taken = 0;
  /** Who waits, in the order of arrival. */
  readonly #line: { lookedAtMs: number }[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  get left(): number {
    return Math.max(0, this.#total - this.#taken);
  }

  take(bytes: number): void {
    this.#taken += bytes;
  }

  /**
   * Takes them when they are left and everyone who came before has theirs: else many small shares would be taken before a
   * large one is ever free. Waiting is polling: a promise that another connection resolves is no I/O, and the platform
   * takes a connection that waits for none to be stuck.
   */
  async takeInTurn(bytes: number): Promise<void> {
    const place = { lookedAtMs: Date.now() };
    this.#line.push(place);
    while (!this.#isFirst(place) || this.left < bytes) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      place.lookedAtMs = Date.now();
      if (!this.#line.includes(place)) this.#line.push(place);
    }
    this.#line.shift();
    this.take(bytes);
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }

  #isFirst(place: object): boolean {
    for (let first = this.#line[0]; first !== undefined && first !== place; first = this.#line[0]) {
      if (Date.now() - first.lookedAtMs < FORGOTTEN_MS) return false;
      this.#line.shift();
    }
    return true;
  }
}

/** Requests that are being read or worked on, but for those that fit into one read. */
export const requestBytes = new ByteBudget(KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX);
/** Record batches that have been read for a Fetch and are not sent yet. */
export const fetchBytes = new ByteBudget(KAFKA_FETCH_BYTES_IN_FLIGHT_MAX);
