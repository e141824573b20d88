import type { ConfigChanges } from "../../../durable-objects/controller/rpc.ts";
import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
import { topicConfigDefinition } from "../../model/topic-config-table.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { incrementalAlterConfigsApi } from "../messages/incremental-alter-configs.ts";
import { repeatedIn } from "../repeated.ts";
import type { RequestOf } from "../schema.ts";
import { notAlterable, TOPIC_RESOURCE } from "./config-resources.ts";

type Resource = RequestOf<typeof incrementalAlterConfigsApi>["resources"][number];
type Change = Resource["configs"][number];

const SET = 0;
const DELETE = 1;
const APPEND = 2;
const SUBTRACT = 3;

export const incrementalAlterConfigs = handler(
  incrementalAlterConfigsApi,
  async ({ resources, validateOnly }, call) => {
    const responses = [];
    for (const resource of resources) {
      const { resourceType, resourceName } = resource;
      const result = await alter(resource, validateOnly, call);
      responses.push({ ...errorFields(result), resourceType, resourceName });
    }
    return { responses };
  },
);

async function alter(
  { resourceType, resourceName, configs }: Resource,
  validateOnly: boolean,
  { session: { cluster } }: Call,
): Promise<Topic | Failure> {
  if (resourceType !== TOPIC_RESOURCE) return notAlterable(resourceType);
  const repeated = repeatedIn(configs.map(({ name }) => name));
  if (repeated.size > 0) return failure("INVALID_REQUEST", `${[...repeated].join(", ")} is changed twice`);
  const topic = await cluster.controller.topic(resourceName);
  if (isFailure(topic)) return topic;
  const changes = changesOf(topic, configs);
  if (isFailure(changes)) return changes;
  return cluster.controller.alterTopicConfigs(resourceName, changes, validateOnly);
}

function changesOf(topic: Topic, configs: readonly Change[]): ConfigChanges | Failure {
  const changes: [string, string | null][] = [];
  for (const change of configs) {
    const value = newValue(topic, change);
    if (isFailure(value)) return value;
    changes.push([change.name, value.value]);
  }
  return Object.fromEntries(changes);
}

function newValue(
  topic: Topic,
  { name, configOperation, value }: Change,
): { value: string | null } | Failure {
  if (configOperation === DELETE) return { value: null };
  if (configOperation !== SET && configOperation !== APPEND && configOperation !== SUBTRACT) {
    return failure("INVALID_REQUEST", `there is no operation ${configOperation} on a config`);
  }
  if (value === null) return failure("INVALID_REQUEST", `${name} has no value`);
  if (configOperation === SET) return { value };
  const definition = topicConfigDefinition(name);
  if (definition?.type !== "list") {
    return failure("INVALID_CONFIG", `${name} is no list: it can be set or deleted`);
  }
  const present = listOf(topic.configs[name] ?? definition.default);
  const named = listOf(value);
  const items =
    configOperation === APPEND
      ? [...present, ...named.filter((item) => !present.includes(item))]
      : present.filter((item) => !named.includes(item));
  return { value: items.join(",") };
}

function listOf(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
