import { type Failure, failure } from "../../model/errors.ts";

/** Kafka's `ConfigResource.Type`. */
export const TOPIC_RESOURCE = 2;
export const BROKER_RESOURCE = 4;
export const GROUP_RESOURCE = 32;

/** Why configs of a resource other than a topic cannot be changed. */
export function notAlterable(resourceType: number): Failure {
  if (resourceType === BROKER_RESOURCE || resourceType === GROUP_RESOURCE) {
    return failure(
      "INVALID_REQUEST",
      "the configs of brokers and groups are variables of the Worker (wrangler.toml, or flags of edgelog serve) and are not changed here",
    );
  }
  return failure("INVALID_REQUEST", `resources of type ${resourceType} have no configs; topics have type 2`);
}
