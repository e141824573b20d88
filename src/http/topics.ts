/** Topics: list, create, describe, change, delete. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { failure, isFailure, unwrap } from "../model/errors.ts";
import { CONFIGS_PER_TOPIC_MAX, HTTP_LIST_PAGE_MAX, PARTITIONS_PER_TOPIC_MAX } from "../model/limits.ts";
import { quote } from "../model/quote.ts";
import type { Topic } from "../model/topic.ts";
import { TOPIC_CONFIGS, type TopicConfigDefinition } from "../model/topic-config-table.ts";
import { topicConfigs } from "../model/topic-configs.ts";
import { jsonBody } from "./body.ts";
import { newRoutes } from "./context.ts";
import { errorResponses, rule } from "./errors.ts";
import { plainNumber } from "./json.ts";
import { digits, documentedBody, json, NoQuery, TopicName, TopicParams } from "./schemas.ts";

const Partitions = z
  .preprocess(
    plainNumber,
    z
      .int()
      .superRefine(
        rule((count) =>
          count >= 1 && count <= PARTITIONS_PER_TOPIC_MAX
            ? undefined
            : failure(
                "INVALID_PARTITIONS",
                `a topic has from 1 to ${PARTITIONS_PER_TOPIC_MAX} partitions, not ${count}`,
              ),
        ),
      ),
  )
  .openapi({ type: "integer", minimum: 1, maximum: PARTITIONS_PER_TOPIC_MAX });

const ConfigValue = z
  .preprocess(
    (value) => (JSON.isRawJSON(value) ? value.rawJSON : value),
    z.union([z.string(), z.number(), z.boolean()]),
  )
  .transform(String)
  .openapi({ type: ["string", "number", "boolean"] });

/** z.record would pass over a member named `__proto__` in silence. */
function configsOf<T extends z.ZodType>(value: T) {
  return z
    .unknown()
    .superRefine(
      rule((configs) => {
        if (typeof configs !== "object" || configs === null || Array.isArray(configs)) {
          return failure("INVALID_REQUEST", "must be an object of names and values");
        }
        const names = Object.keys(configs);
        if (names.length > CONFIGS_PER_TOPIC_MAX) {
          return failure("INVALID_REQUEST", `at most ${CONFIGS_PER_TOPIC_MAX} configs fit into a request`);
        }
        return names.includes("__proto__")
          ? failure("INVALID_CONFIG", `there is no topic config ${quote("__proto__")}`)
          : undefined;
      }),
    )
    .pipe(z.record(z.string(), value));
}

const CreateTopic = z
  .strictObject({
    name: TopicName,
    partitions: Partitions.optional(),
    configs: configsOf(ConfigValue)
      .optional()
      .openapi({
        type: "object",
        additionalProperties: { type: ["string", "number", "boolean"] },
        description: "Kafka's topic configs by name, and ours, which begin with `edgelog.`.",
        example: { "retention.ms": "86400000" },
      }),
    validate_only: z.boolean().optional().openapi({ description: "Check only, create nothing." }),
  })
  .openapi("CreateTopic");

const AlterTopic = z
  .strictObject({
    partitions: Partitions.optional().openapi({ description: "The new total; it can only grow." }),
    configs: configsOf(z.union([z.null(), ConfigValue]))
      .optional()
      .openapi({
        type: "object",
        additionalProperties: { type: ["string", "number", "boolean", "null"] },
        description: "What changes; null goes back to the default.",
        example: { "retention.ms": null },
      }),
    validate_only: z.boolean().optional().openapi({ description: "Check only, change nothing." }),
  })
  .refine((change) => change.partitions !== undefined || change.configs !== undefined, {
    message: "nothing to change: send partitions, configs or both",
  })
  .openapi("AlterTopic");

const TopicAnswer = z
  .object({
    name: TopicName,
    id: z
      .string()
      .openapi({ description: "Kafka's topic id; never used again.", example: "Yj3qJbX2R2yXkq7m4u9y1A" }),
    partitions: z.int(),
    configs: z.record(z.string(), z.string()).openapi({ description: "What differs from the defaults." }),
    created_at_ms: z.int(),
  })
  .openapi("Topic");

const ConfigEntry = z
  .object({
    name: z.string(),
    value: z.string(),
    default: z.string(),
    is_default: z.boolean(),
    effective_value: z.string().optional().openapi({ description: "Where it is not what was asked for." }),
    type: z.string(),
    documentation: z.string(),
  })
  .openapi("ConfigEntry");

const TopicDescription = TopicAnswer.extend({
  config_entries: z.array(ConfigEntry).openapi({ description: "Every config, defaults included." }),
}).openapi("TopicDescription");

const TopicList = z
  .object({
    topics: z.array(TopicAnswer),
    next_after: z
      .string()
      .nullable()
      .openapi({ description: "`after` of the next page; null on the last one." }),
  })
  .openapi("TopicList");

const tags = ["topics"];

export const topicRoutes = newRoutes();
topicRoutes.openAPIRegistry.register("CreateTopic", CreateTopic);
topicRoutes.openAPIRegistry.register("AlterTopic", AlterTopic);

topicRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/topics",
    tags,
    summary: "List topics by name",
    request: {
      query: z.strictObject({
        after: z
          .string()
          .max(249)
          .optional()
          .openapi({ description: "Only names that sort after this one." }),
        limit: digits({ min: 1, max: HTTP_LIST_PAGE_MAX }).optional(),
      }),
    },
    responses: {
      200: { description: "A page of topics.", content: json(TopicList) },
      ...errorResponses("KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { after, limit = HTTP_LIST_PAGE_MAX } = c.req.valid("query");
    const { controller } = new Cluster(c.env);
    const topics = await controller.listTopics({ limit, ...(after !== undefined && { after }) });
    const last = topics.length === limit ? topics.at(-1) : undefined;
    return c.json({ topics: topics.map(topicAnswer), next_after: last?.name ?? null }, 200);
  },
);

topicRoutes.openapi(
  createRoute({
    method: "post",
    path: "/v1/topics",
    tags,
    summary: "Create a topic",
    description: "However many partitions it has, this is one row.",
    request: { query: NoQuery, body: documentedBody("CreateTopic") },
    responses: {
      200: { description: "With `validate_only`: it could be created so.", content: json(TopicAnswer) },
      201: { description: "Created.", content: json(TopicAnswer) },
      ...errorResponses(
        "TOPIC_ALREADY_EXISTS",
        "INVALID_TOPIC_EXCEPTION",
        "INVALID_PARTITIONS",
        "INVALID_CONFIG",
        "POLICY_VIOLATION",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONTENT_TOO_LARGE",
        "THROTTLING_QUOTA_EXCEEDED",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const body = await jsonBody(c.req.raw, CreateTopic);
    const topic = unwrap(
      await new Cluster(c.env).controller.createTopic({
        name: body.name,
        ...(body.partitions !== undefined && { partitions: body.partitions }),
        ...(body.configs !== undefined && { configs: body.configs }),
        ...(body.validate_only !== undefined && { validateOnly: body.validate_only }),
      }),
    );
    if (body.validate_only === true) return c.json(topicAnswer(topic), 200);
    c.header("location", `/v1/topics/${encodeURIComponent(topic.name)}`);
    return c.json(topicAnswer(topic), 201);
  },
);

topicRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/topics/{topic}",
    tags,
    summary: "Describe a topic, its configs and their defaults",
    request: {
      params: TopicParams,
      query: z.strictObject({
        auto_create: z.enum(["true", "false"]).optional().openapi({
          description:
            "`true`: a topic that does not exist is created, where the cluster allows it (Kafka's allow.auto.create.topics). Default false.",
        }),
      }),
    },
    responses: {
      200: { description: "The topic.", content: json(TopicDescription) },
      ...errorResponses("UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { topic: name } = c.req.valid("param");
    const cluster = new Cluster(c.env);
    let topic = await cluster.controller.topic(name);
    if (isFailure(topic) && c.req.valid("query").auto_create === "true") {
      topic = await cluster.topicForProduce(name);
    }
    const described = unwrap(topic);
    return c.json({ ...topicAnswer(described), config_entries: configEntries(described) }, 200);
  },
);

topicRoutes.openapi(
  createRoute({
    method: "patch",
    path: "/v1/topics/{topic}",
    tags,
    summary: "Add partitions, change configs",
    request: { params: TopicParams, query: NoQuery, body: documentedBody("AlterTopic") },
    responses: {
      200: { description: "The topic as it is now.", content: json(TopicDescription) },
      ...errorResponses(
        "UNKNOWN_TOPIC_OR_PARTITION",
        "INVALID_TOPIC_EXCEPTION",
        "INVALID_PARTITIONS",
        "INVALID_CONFIG",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONTENT_TOO_LARGE",
        "THROTTLING_QUOTA_EXCEEDED",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const { topic: name } = c.req.valid("param");
    const {
      partitions,
      configs,
      validate_only: validateOnly = false,
    } = await jsonBody(c.req.raw, AlterTopic);
    const cluster = new Cluster(c.env);
    const change = async (only: boolean): Promise<Topic> => {
      const { controller } = cluster;
      let topic = unwrap(await controller.topic(name));
      if (configs !== undefined) topic = unwrap(await controller.alterTopicConfigs(name, configs, only));
      if (partitions !== undefined) topic = unwrap(await controller.createPartitions(name, partitions, only));
      return topic;
    };
    // Two changes: neither is made unless both can be.
    let topic = await change(true);
    if (!validateOnly) {
      topic = await change(false);
      cluster.forget(topic);
    }
    return c.json({ ...topicAnswer(topic), config_entries: configEntries(topic) }, 200);
  },
);

topicRoutes.openapi(
  createRoute({
    method: "delete",
    path: "/v1/topics/{topic}",
    tags,
    summary: "Delete a topic with all its records",
    description: "It is gone at once; its storage and its objects in R2 are removed in the background.",
    request: { params: TopicParams, query: NoQuery },
    responses: {
      204: { description: "Deleted." },
      ...errorResponses("UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const cluster = new Cluster(c.env);
    cluster.forget(unwrap(await cluster.controller.deleteTopic(c.req.valid("param").topic)));
    return c.body(null, 204);
  },
);

function topicAnswer(topic: Topic): z.infer<typeof TopicAnswer> {
  return {
    name: topic.name,
    id: topic.id,
    partitions: topic.partitions,
    configs: { ...topic.configs },
    created_at_ms: topic.createdAtMs,
  };
}

function configEntries(topic: Topic): z.infer<typeof ConfigEntry>[] {
  const effective: Readonly<Record<string, string>> = {
    "segment.bytes": String(topicConfigs(topic.configs).segmentBytes),
  };
  return TOPIC_CONFIGS.map(({ name, type, default: standard, documentation }: TopicConfigDefinition) => {
    const value = topic.configs[name] ?? standard;
    const inEffect = effective[name] ?? value;
    return {
      name,
      value,
      default: standard,
      is_default: topic.configs[name] === undefined,
      ...(inEffect !== value && { effective_value: inEffect }),
      type,
      documentation,
    };
  });
}
