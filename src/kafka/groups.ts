import { GroupClient } from "../cluster/group-client.ts";
import type { Session } from "./session.ts";

/** Groups that one request asks at the same time. */
export const GROUPS_AT_ONCE = 16;

/** The coordinator of a group, as this connection reaches it. */
export function groupOf({ env }: Pick<Session, "env">, groupId: string): GroupClient {
  return new GroupClient(env.GROUP, groupId);
}
