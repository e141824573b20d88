import type { Command } from "commander";
import { addGroupDelete } from "./group-delete.ts";
import { addGroupDeleteOffsets } from "./group-delete-offsets.ts";
import { addGroupDescribe } from "./group-describe.ts";
import { addGroupList } from "./group-list.ts";
import { addGroupResetOffsets } from "./group-reset-offsets.ts";

export function addGroup(program: Command): void {
  const group = program
    .command("group")
    .description("list, describe and delete consumer groups, watch how far they lag, move their offsets");
  addGroupList(group);
  addGroupDescribe(group);
  addGroupResetOffsets(group);
  addGroupDeleteOffsets(group);
  addGroupDelete(group);
}
