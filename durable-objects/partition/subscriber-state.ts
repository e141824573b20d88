/** Where one subscriber is: what its socket's attachment holds, so that a woken object knows it. */

import { ISOLATIONS, type Isolation } from "../../src/model/isolation.ts";
import type { FrameFormat, LeaderSubscription } from "../../src/subscribe/leader-request.ts";
import { isOffset, isPartition } from "../../src/subscribe/position.ts";

/** Mutable: it changes with every send, in memory and in the attachment at once. */
export interface SubscriberState {
  readonly partition: number;
  readonly format: FrameFormat;
  /** Absent: read_uncommitted. */
  readonly isolation?: Isolation;
  /** The offset that the next frame begins with. */
  next: number;
  /** Batch bytes that may still be sent; below zero after a batch that was larger than what was left. */
  credit: number;
  /** Batch bytes sent and not credited since. */
  owed: number;
  /** What those take in memory, as they were framed. */
  unsent: number;
  /** ms; when it was told to credit what it has consumed; 0: it need not, or has. */
  dueSinceMs: number;
  /** It has been told that it has reached the log end. */
  caughtUp: boolean;
}

export function newSubscriber(subscription: LeaderSubscription, offset: number): SubscriberState {
  return {
    partition: subscription.partition,
    format: subscription.format,
    ...(subscription.isolation === "read_committed" && { isolation: subscription.isolation }),
    next: offset,
    credit: subscription.creditBytes,
    owed: 0,
    unsent: 0,
    dueSinceMs: 0,
    caughtUp: false,
  };
}

/** undefined if the attachment is none of ours. */
export function readState(attachment: unknown): SubscriberState | undefined {
  return isState(attachment) ? attachment : undefined;
}

function isState(value: unknown): value is SubscriberState {
  if (typeof value !== "object" || value === null) return false;
  const state: { readonly [name: string]: unknown } = { ...value };
  return (
    isPartition(state.partition) &&
    (state.format === "binary" || state.format === "json" || state.format === "json-values") &&
    (state.isolation === undefined || ISOLATIONS.some((each) => each === state.isolation)) &&
    [state.next, state.owed, state.unsent, state.dueSinceMs].every(isOffset) &&
    Number.isSafeInteger(state.credit) &&
    typeof state.caughtUp === "boolean"
  );
}
