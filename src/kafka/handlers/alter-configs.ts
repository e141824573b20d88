import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
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
  // Whatever is not named goes back to its default.
  const unset = Object.keys(topic.configs).map((name) => [name, null] as const);
  const set = configs.map(({ name, value }) => [name, value] as const);
  return cluster.controller.alterTopicConfigs(
    resourceName,
    Object.fromEntries([...unset, ...set]),
    validateOnly,
  );
}
