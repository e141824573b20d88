import { GroupClient } from "../cluster/group-client.ts";
import { type Failure, failure } from "../model/errors.ts";
import type { Session } from "./session.ts";

/** The coordinator of a group, as this connection reaches it. */
export function groupOf({ env }: Pick<Session, "env">, groupId: string): GroupClient {
  return new GroupClient(env.GROUP, groupId);
}

/**
 * What a coordinator answers when a member's turn has come, which may take as long as a rebalance. Nobody waits for it any
 * more when the client is gone: of that the group learns by the member's silence.
 */
export async function whileConnected<T>(
  { signal }: Pick<Session, "signal">,
  answer: Promise<T>,
): Promise<T | Failure> {
  const { promise: gone, resolve } = Promise.withResolvers<Failure>();
  const leave = () => resolve(failure("COORDINATOR_NOT_AVAILABLE", "the client has gone away"));
  signal.addEventListener("abort", leave);
  if (signal.aborted) leave();
  return Promise.race([answer, gone]).finally(() => signal.removeEventListener("abort", leave));
}
