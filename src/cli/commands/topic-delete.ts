import type { Command } from "commander";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { isErrorCode } from "../errors.ts";
import { note, printJson } from "../output.ts";

interface DeleteOptions extends ConnectionOptions {
  readonly ifExists?: boolean;
}

export function addTopicDelete(topic: Command): void {
  const command = topic
    .command("delete")
    .description("delete topics; their records are gone for good")
    .argument("<topic...>")
    .option("--if-exists", "be content if there is none");
  withConnection(command).action(deleteTopics);
}

async function deleteTopics(names: readonly string[], options: DeleteOptions): Promise<void> {
  const { topics } = await connect(options);
  for (const name of names) {
    const deleted = await topics.delete(name).then(
      () => true,
      (error: unknown) => {
        if (options.ifExists && isErrorCode(error, "UNKNOWN_TOPIC_OR_PARTITION")) return false;
        throw error;
      },
    );
    if (options.json) await printJson({ name, deleted });
    else note(deleted ? `Deleted ${name}.` : `There is no ${name}.`);
  }
}
