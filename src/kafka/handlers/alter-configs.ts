import type { ConfigChanges } from "../../../durable-objects/controller/rpc.ts";
import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
import { topicConfigDefinition } from "../../model/topic-config-table.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { alterConfigsApi } from "../messages/alter-configs.ts";
import { repeatedIn } from "../repeated.ts";
import type { RequestOf } from "../schema.ts";
import { notAlterable, TOPIC_RESOURCE } from "./config-resources.ts";

type Resource = RequestOf<typeof alterConfigsApi>["resources"][number];

export const alterConfigs = handler(alterConfigsApi, async ({ resources, validateOnly }, call) => {
  const responses = [];
  for (const resource of resources) {
    const { resourceType, resourceName } = resource;
    responses.push({ ...errorFields(await alter(resource, validateOnly, call)), resourceType, resourceName });
  }
  return { responses };
});

async function alter(
  { resourceType, resourceName, configs }: Resource,
  validateOnly: boolean,
  { session: { cluster } }: Call,
): Promise<Topic | Failure> {
  if (resourceType !== TOPIC_RESOURCE) return notAlterable(resourceType);
  const repeated = repeatedIn(configs.map(({ name }) => name));
  if (repeated.size > 0) return failure("INVALID_REQUEST", `${[...repeated].join(", ")} is given twice`);
  const topic = await cluster.controller.topic(resourceName);
  if (isFailure(topic)) return topic;
  return cluster.controller.alterTopicConfigs(resourceName, replacement(topic, configs), validateOnly);
}

/** Whatever is not named goes back to its default, but for what never changes. */
export function replacement(
  topic: Pick<Topic, "configs">,
  configs: readonly { readonly name: string; readonly value: string | null }[],
): ConfigChanges {
  const unset = Object.keys(topic.configs)
    .filter((name) => topicConfigDefinition(name)?.isFixed !== true)
    .map((name) => [name, null] as const);
  const set = configs.map(({ name, value }) => [name, value] as const);
  return Object.fromEntries([...unset, ...set]);
}
