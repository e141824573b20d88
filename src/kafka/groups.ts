import { GroupClient } from "../cluster/group-client.ts";
import type { Session } from "./session.ts";

/** The coordinator of a group, as this connection reaches it. */
export function groupOf({ env }: Pick<Session, "env">, groupId: string): GroupClient {
  return new GroupClient(env.GROUP, groupId);
}
