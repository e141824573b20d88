/** Committed offsets of a group: list, set, delete. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { deleteOffsets, setOffsets } from "../cluster/set-offsets.ts";
import { EdgelogError, failure, unwrap } from "../model/errors.ts";
import { GROUP_OFFSETS_PER_PAGE_MAX, HTTP_OFFSETS_PER_REQUEST_MAX } from "../model/limits.ts";
import { jsonBody } from "./body.ts";
import { newRoutes } from "./context.ts";
import { ErrorDetail, errorDetail, errorResponses, invalid } from "./errors.ts";
import {
  AfterPartition,
  afterText,
  CommittedOffsetAnswer,
  GroupParams,
  NextAfter,
  OffsetToSet,
} from "./group-schemas.ts";
import {
  digits,
  documentedAnswer,
  documentedBody,
  json,
  NoQuery,
  Offset,
  PartitionIndex,
  PartitionParams,
  TopicName,
} from "./schemas.ts";

const OffsetList = z
  .object({ offsets: z.array(CommittedOffsetAnswer), next_after: NextAfter })
  .openapi("GroupOffsets");

const SetOffsets = z
  .strictObject({ offsets: z.array(OffsetToSet).min(1).max(HTTP_OFFSETS_PER_REQUEST_MAX) })
  .openapi("SetOffsets");

const SetOffsetsAnswer = z
  .object({
    offsets: z
      .array(
        z.object({
          topic: TopicName,
          partition: PartitionIndex,
          offset: Offset.optional().openapi({ description: "It is stored." }),
          error: ErrorDetail.optional().openapi({ description: "It is not." }),
        }),
      )
      .openapi({ description: "One entry per offset sent, in order." }),
  })
  .openapi("SetOffsetsResult");

const tags = ["groups"];
const path = "/v1/groups/{group}/offsets";

export const groupOffsetRoutes = newRoutes();
groupOffsetRoutes.openAPIRegistry.register("SetOffsets", SetOffsets);

groupOffsetRoutes.openapi(
  createRoute({
    method: "get",
    path,
    tags,
    summary: "List the committed offsets of a group",
    request: {
      params: GroupParams,
      query: z.strictObject({
        after: AfterPartition.optional(),
        limit: digits({ min: 1, max: GROUP_OFFSETS_PER_PAGE_MAX }).optional(),
      }),
    },
    responses: {
      200: { description: "By topic name and partition.", content: json(OffsetList) },
      ...errorResponses("INVALID_GROUP_ID", "GROUP_ID_NOT_FOUND", "COORDINATOR_NOT_AVAILABLE"),
    },
  }),
  async (c) => {
    const { after, limit = GROUP_OFFSETS_PER_PAGE_MAX } = c.req.valid("query");
    const coordinator = new Cluster(c.env).group(c.req.valid("param").group);
    const page = unwrap(await coordinator.offsetsPage({ limit, ...(after !== undefined && { after }) }));
    const last = page.isLast ? null : (page.offsets.at(-1) ?? null);
    const offsets = page.offsets.map(
      ({ topic, partition, offset, leaderEpoch, metadata, committedAtMs }) => ({
        topic,
        partition,
        offset,
        leader_epoch: leaderEpoch,
        metadata,
        committed_at_ms: committedAtMs,
      }),
    );
    return c.json({ offsets, next_after: afterText(last) }, 200);
  },
);

groupOffsetRoutes.openapi(
  createRoute({
    method: "put",
    path,
    tags,
    summary: "Set offsets of a group that has no members",
    description:
      "What is not named stays as it is; a group that does not exist is made. An offset that the log does not have is taken all the same: its reader then begins where its `auto.offset.reset` says.",
    request: { params: GroupParams, query: NoQuery, body: documentedBody("SetOffsets") },
    responses: {
      200: { description: "All are stored.", content: json(SetOffsetsAnswer) },
      207: documentedAnswer({ description: "Some are stored.", content: json(SetOffsetsAnswer) }),
      ...errorResponses(
        "INVALID_GROUP_ID",
        "NON_EMPTY_GROUP",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "COORDINATOR_NOT_AVAILABLE",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONTENT_TOO_LARGE",
        "THROTTLING_QUOTA_EXCEEDED",
      ),
    },
  }),
  async (c) => {
    const { offsets } = await jsonBody(c.req.raw, SetOffsets);
    const twice = firstRepeated(offsets.map(({ topic, partition }) => `${topic}:${partition}`));
    if (twice !== undefined) throw invalid(`offsets: ${twice} is named twice`);
    const cluster = new Cluster(c.env);
    const errors = unwrap(
      await setOffsets(
        cluster,
        cluster.group(c.req.valid("param").group),
        offsets.map(({ topic, partition, offset, leader_epoch: leaderEpoch = -1, metadata = "" }) => ({
          ...{ topic, partition, offset, leaderEpoch, metadata },
        })),
      ),
    );
    const answers = offsets.map(({ topic, partition, offset }, index) => {
      const error = errors[index] ?? null;
      return { topic, partition, ...(error === null ? { offset } : { error: errorDetail(failure(error)) }) };
    });
    const isWhole = errors.every((error) => error === null);
    return isWhole ? c.json({ offsets: answers }, 200) : c.json({ offsets: answers }, 207);
  },
);

groupOffsetRoutes.openapi(
  createRoute({
    method: "delete",
    path,
    tags,
    summary: "Delete the offsets of a topic, or of one of its partitions",
    request: {
      params: GroupParams,
      query: z.strictObject({
        topic: TopicName,
        partition: PartitionParams.shape.partition
          .optional()
          .openapi({ description: "Absent: all partitions of the topic." }),
      }),
    },
    responses: {
      204: { description: "There are none any more." },
      ...errorResponses(
        "INVALID_GROUP_ID",
        "GROUP_ID_NOT_FOUND",
        "UNKNOWN_TOPIC_OR_PARTITION",
        "GROUP_SUBSCRIBED_TO_TOPIC",
        "NON_EMPTY_GROUP",
        "COORDINATOR_NOT_AVAILABLE",
      ),
    },
  }),
  async (c) => {
    const { topic, partition } = c.req.valid("query");
    const cluster = new Cluster(c.env);
    const failed = await deleteOffsets(cluster, cluster.group(c.req.valid("param").group), topic, partition);
    if (failed !== null) throw EdgelogError.from(failed);
    return c.body(null, 204);
  },
);

function firstRepeated(texts: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return texts.find((text) => seen.size === seen.add(text).size);
}
