import type { Command } from "commander";
import { addTopicAlter } from "./topic-alter.ts";
import { addTopicCreate } from "./topic-create.ts";
import { addTopicDelete } from "./topic-delete.ts";
import { addTopicDescribe } from "./topic-describe.ts";
import { addTopicList } from "./topic-list.ts";

export function addTopic(program: Command): void {
  const topic = program.command("topic").description("create, list, describe, alter and delete topics");
  addTopicCreate(topic);
  addTopicList(topic);
  addTopicDescribe(topic);
  addTopicAlter(topic);
  addTopicDelete(topic);
}
