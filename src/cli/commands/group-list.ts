import type { Command } from "commander";
import { GROUP_STATES, GROUP_TYPES, type GroupState, type GroupType } from "../../model/groups.ts";
import { wordOf } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { columns, printJson, printLine } from "../output.ts";

interface ListOptions extends ConnectionOptions {
  /** true: given without a value. */
  readonly state?: GroupState | true;
  readonly type?: GroupType | true;
}

export function addGroupList(group: Command): void {
  const command = group
    .command("list")
    .description("print the ids of all groups, one a line")
    .option(
      "--state [state]",
      `also their states; with one of ${GROUP_STATES.join(", ")}, only groups in this state`,
      wordOf(GROUP_STATES),
    )
    .option(
      "--type [type]",
      `also their types; with ${GROUP_TYPES.join(" or ")}, only groups of this type`,
      wordOf(GROUP_TYPES),
    );
  withConnection(command).action(list);
}

async function list(options: ListOptions): Promise<void> {
  const { state, type, json } = options;
  const { groups } = await connect(options);
  const rows = [["group", "type", "state", "members"]];
  const wanted = { ...(typeof state === "string" && { state }), ...(typeof type === "string" && { type }) };
  for await (const listed of groups.list(wanted)) {
    if (json) await printJson(listed);
    else if (state === undefined && type === undefined) await printLine(listed.group);
    else rows.push([listed.group, listed.type, listed.state, String(listed.members)]);
  }
  if (rows.length > 1) await printLine(columns(rows));
}
