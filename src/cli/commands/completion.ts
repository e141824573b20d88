import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { TOPIC_CONFIGS } from "../../model/topic-config-table.ts";

const GROUP_STATES = [
  ["Empty", "has no members"],
  ["PreparingRebalance", "waits for its members to join again"],
  ["CompletingRebalance", "waits for its leader's assignment"],
  ["Assigning", "is being assigned anew"],
  ["Reconciling", "its members are being moved to their assignment"],
  ["Stable", "its members have what they are assigned"],
] as const;

/** Adds `completion <shell>`, and what the shells then call; to be added last, when all other commands are known. */
export function addCompletion(program: Command): void {
  const { commands } = tab(program, { completionCommandName: "completion" });
  program.commands
    .find((command) => command.name() === "completion")
    ?.description("print the completion script of a shell: source <(edgelog completion bash)");
  const suggest = (command: string, option: string, values: readonly (readonly [string, string])[]): void => {
    const found = commands.get(command)?.options.get(option);
    if (found === undefined) throw new Error(`there is no ${command} --${option} to complete`);
    found.handler = (complete) => {
      for (const [value, meaning] of values) complete(value, meaning);
    };
  };
  const configs = TOPIC_CONFIGS.map(({ name, documentation }) => [name, documentation] as const);
  const assignments = configs.map(([name, documentation]) => [`${name}=`, documentation] as const);
  suggest("topic create", "config", assignments);
  suggest("topic alter", "config", assignments);
  suggest("topic alter", "delete-config", configs);
  suggest("group list", "state", GROUP_STATES);
  suggest("group list", "type", [
    ["classic", "a member assigns the partitions"],
    ["consumer", "the coordinator assigns them (KIP-848)"],
  ]);
  suggest("group reset-offsets", "by-duration", [
    ["PT10M", "ten minutes ago"],
    ["PT1H", "an hour ago"],
    ["P1D", "a day ago"],
  ]);
  suggest("consume", "offset", [
    ["beginning", "the first record that is kept"],
    ["end", "what comes from now on"],
    ["-10", "the last ten of each partition"],
  ]);
}
