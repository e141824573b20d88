import type { FeedEvent } from "./partition-feed.ts";

/** Several feeds as one, in the order in which they have something. Each feed goes on only when its event was taken. */
export class FeedMerge {
  readonly #ready: ReadyEvent[] = [];
  #current: (() => void) | undefined;
  #wake: () => void = () => {};

  /** `signal`: aborts when nothing of the feed is wanted any more. */
  add(feed: AsyncIterable<FeedEvent>, signal?: AbortSignal): void {
    void this.#pump(feed, signal);
  }

  /** undefined if nothing came within `waitMs` or until {@link interrupt}. Asking says that the event before is done with. */
  async next(waitMs?: number): Promise<FeedEvent | undefined> {
    this.#current?.();
    this.#current = undefined;
    if (this.#ready.length === 0) await this.#something(waitMs);
    for (let first = this.#ready.shift(); first !== undefined; first = this.#ready.shift()) {
      if (first.signal?.aborted) first.taken();
      else {
        this.#current = first.taken;
        return first.event;
      }
    }
    return undefined;
  }

  interrupt(): void {
    this.#wake();
  }

  async #something(waitMs: number | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = waitMs === undefined ? undefined : setTimeout(resolve, waitMs);
    await promise;
    clearTimeout(timer);
  }

  async #pump(feed: AsyncIterable<FeedEvent>, signal: AbortSignal | undefined): Promise<void> {
    for await (const event of feed) {
      await new Promise<void>((taken) => {
        this.#ready.push({ event, taken, signal });
        this.#wake();
      });
    }
  }
}

interface ReadyEvent {
  readonly event: FeedEvent;
  readonly taken: () => void;
  readonly signal: AbortSignal | undefined;
}
