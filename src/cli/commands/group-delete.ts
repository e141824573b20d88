import type { Command } from "commander";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { isErrorCode } from "../errors.ts";
import { note, printJson } from "../output.ts";

interface DeleteOptions extends ConnectionOptions {
  readonly ifExists?: boolean;
}

export function addGroupDelete(group: Command): void {
  const command = group
    .command("delete")
    .description("delete groups that have no members, and their offsets")
    .argument("<group...>")
    .option("--if-exists", "be content if there is none");
  withConnection(command).action(deleteGroups);
}

async function deleteGroups(ids: readonly string[], options: DeleteOptions): Promise<void> {
  const { groups } = await connect(options);
  for (const group of ids) {
    const deleted = await groups.delete(group).then(
      () => true,
      (error: unknown) => {
        if (options.ifExists && isErrorCode(error, "GROUP_ID_NOT_FOUND")) return false;
        throw error;
      },
    );
    if (options.json) await printJson({ group, deleted });
    else note(deleted ? `Deleted ${group}.` : `There is no ${group}.`);
  }
}
