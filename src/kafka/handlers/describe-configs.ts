import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { describedBrokerConfigs } from "../described-broker-configs.ts";
import {
  CONFIG_SOURCE,
  CONFIG_TYPE,
  type DescribedConfig,
  describedTopicConfigs,
} from "../described-configs.ts";
import { describedGroupConfigs } from "../described-group-configs.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { describeConfigsApi } from "../messages/describe-configs.ts";
import type { RequestOf } from "../schema.ts";
import { BROKER_RESOURCE, GROUP_RESOURCE, TOPIC_RESOURCE } from "./config-resources.ts";

type Request = RequestOf<typeof describeConfigsApi>;
type Resource = Request["resources"][number];

export const describeConfigs = handler(describeConfigsApi, async (request, call) => {
  const results = [];
  for (const resource of request.resources) {
    const { resourceType, resourceName, configurationKeys } = resource;
    const configs = await configsOf(resource, call);
    const isWanted = ({ name }: DescribedConfig) => configurationKeys?.includes(name) ?? true;
    results.push({
      ...errorFields(configs),
      resourceType,
      resourceName,
      configs: isFailure(configs)
        ? []
        : configs.filter(isWanted).map((config) => entry(config, resourceType !== TOPIC_RESOURCE, request)),
    });
  }
  return { results };
});

async function configsOf(
  { resourceType, resourceName }: Resource,
  { session }: Call,
): Promise<DescribedConfig[] | Failure> {
  if (resourceType === BROKER_RESOURCE) {
    const isBroker = session.brokers.all.some(({ nodeId }) => String(nodeId) === resourceName);
    // Without a name: what all of them have been given at run time, which is nothing.
    if (resourceName === "") return [];
    return isBroker
      ? describedBrokerConfigs(session.env)
      : failure("INVALID_REQUEST", `there is no broker ${resourceName.slice(0, 40)}`);
  }
  if (resourceType === GROUP_RESOURCE) return describedGroupConfigs(session.env);
  if (resourceType !== TOPIC_RESOURCE) {
    return failure(
      "INVALID_REQUEST",
      `resources of type ${resourceType} have no configs; topics have type 2`,
    );
  }
  const topic = await session.cluster.controller.topic(resourceName);
  return isFailure(topic) ? topic : describedTopicConfigs(topic);
}

function entry(config: DescribedConfig, readOnly: boolean, request: Request) {
  const { name, value, source, defaultValue, type, documentation } = config;
  const own = { name, value, source: CONFIG_SOURCE[source] };
  const byDefault = { name, value: defaultValue, source: CONFIG_SOURCE.default };
  const synonyms = source === "default" ? [byDefault] : [own, byDefault];
  return {
    name,
    value,
    readOnly,
    configSource: CONFIG_SOURCE[source],
    isSensitive: false,
    synonyms: request.includeSynonyms ? synonyms : [],
    configType: CONFIG_TYPE[type],
    documentation: request.includeDocumentation ? documentation : null,
  };
}
