/** Consumer groups: list, describe with lag, delete. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import {
  type DescribedMember,
  type DescribedPartition,
  describeGroup,
} from "../cluster/group-description.ts";
import { groupsPage } from "../cluster/group-list.ts";
import { EdgelogError, isFailure, unwrap } from "../model/errors.ts";
import { GROUP_STATES, GROUP_TYPES } from "../model/groups.ts";
import { GROUP_DESCRIBED_PARTITIONS_MAX, HTTP_LIST_PAGE_MAX } from "../model/limits.ts";
import { newRoutes } from "./context.ts";
import { errorDetail, errorResponses } from "./errors.ts";
import {
  AfterPartition,
  afterText,
  GroupId,
  GroupMember,
  GroupParams,
  GroupPartition,
  NextAfter,
  ProtocolType,
  State,
  Type,
} from "./group-schemas.ts";
import { digits, json, NoQuery, wordOf } from "./schemas.ts";

const GroupList = z
  .object({
    groups: z.array(
      z
        .object({
          group: GroupId,
          type: Type,
          state: State,
          protocol_type: ProtocolType,
          members: z.int().openapi({ description: "How many there are." }),
        })
        .openapi("Group"),
    ),
    next_after: NextAfter.openapi({
      description: "`after` of the next page; null on the last one. A page may be empty and not the last.",
    }),
  })
  .openapi("GroupList");

const GroupDescriptionAnswer = z
  .object({
    group: GroupId,
    type: Type,
    state: State,
    protocol_type: ProtocolType,
    protocol: z.string().openapi({
      description:
        "The assignor: of a `classic` group the one that its members have agreed on while it is `Stable`.",
      example: "uniform",
    }),
    generation: z.int().optional().openapi({ description: "Of a `classic` group." }),
    group_epoch: z.int().optional().openapi({ description: "Of a `consumer` group." }),
    assignment_epoch: z.int().optional().openapi({ description: "Of a `consumer` group." }),
    members: z.array(GroupMember),
    partitions: z
      .array(GroupPartition)
      .openapi({ description: "What has a committed offset or is assigned, by topic name and partition." }),
    lag_records: z.int().openapi({
      format: "int64",
      description: "Of the partitions of this page together; a negative one counts as 0.",
    }),
    lag_ms: z
      .int()
      .nullable()
      .openapi({ format: "int64", description: "The longest among the partitions of this page." }),
    next_after: NextAfter,
  })
  .openapi("GroupDescription");

const tags = ["groups"];
const ofGroup = ["INVALID_GROUP_ID", "GROUP_ID_NOT_FOUND", "COORDINATOR_NOT_AVAILABLE"] as const;

export const groupRoutes = newRoutes();

groupRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/groups",
    tags,
    summary: "List groups by id",
    description: "Every group of the page is asked for its state.",
    request: {
      query: z.strictObject({
        after: GroupId.optional().openapi({ description: "Only ids that sort after this one." }),
        limit: digits({ min: 1, max: HTTP_LIST_PAGE_MAX }).optional(),
        state: wordOf(GROUP_STATES)
          .optional()
          .openapi({ description: "Only groups in this state; in any case." }),
        type: wordOf(GROUP_TYPES)
          .optional()
          .openapi({ description: "Only groups of this type; in any case." }),
      }),
    },
    responses: {
      200: { description: "A page of groups.", content: json(GroupList) },
      ...errorResponses("INVALID_GROUP_ID", "COORDINATOR_NOT_AVAILABLE", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { after, limit = HTTP_LIST_PAGE_MAX, state, type } = c.req.valid("query");
    const page = await groupsPage(new Cluster(c.env), { limit, ...(after !== undefined && { after }) });
    const groups = page.groups
      .filter((group) => (state ?? group.state) === group.state && (type ?? group.type) === group.type)
      .map((group) => ({
        group: group.groupId,
        type: group.type,
        state: group.state,
        protocol_type: group.protocolType,
        members: group.memberCount,
      }));
    return c.json({ groups, next_after: page.next }, 200);
  },
);

groupRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/groups/{group}",
    tags,
    summary: "Describe a group: state, members, and the lag of every partition",
    description:
      "The leader of every partition of the page is asked. `limit=0` asks none: state and members only.",
    request: {
      params: GroupParams,
      query: z.strictObject({
        after: AfterPartition.optional(),
        limit: digits({ max: GROUP_DESCRIBED_PARTITIONS_MAX })
          .optional()
          .openapi({ description: `Of partitions; default ${GROUP_DESCRIBED_PARTITIONS_MAX}.` }),
      }),
    },
    responses: {
      200: { description: "The group.", content: json(GroupDescriptionAnswer) },
      ...errorResponses(...ofGroup),
    },
  }),
  async (c) => {
    const { group: groupId } = c.req.valid("param");
    const { after, limit = GROUP_DESCRIBED_PARTITIONS_MAX } = c.req.valid("query");
    const cluster = new Cluster(c.env);
    const options = { limit, ...(after !== undefined && { after }) };
    const described = unwrap(await describeGroup(cluster, cluster.group(groupId), options));
    const { group, members } = described;
    const partitions = described.partitions.map(partitionAnswer);
    const ages = partitions.flatMap(({ lag_ms }) => (lag_ms === null ? [] : lag_ms));
    return c.json(
      {
        group: groupId,
        type: group.type,
        state: group.state,
        protocol_type: group.protocolType,
        ...(group.type === "classic"
          ? { protocol: group.protocolName, generation: group.generation }
          : {
              protocol: group.assignor,
              group_epoch: group.groupEpoch,
              assignment_epoch: group.assignmentEpoch,
            }),
        members: members.map(memberAnswer),
        partitions,
        lag_records: partitions.reduce((sum, { lag_records }) => sum + Math.max(0, lag_records ?? 0), 0),
        lag_ms: ages.length === 0 ? null : Math.max(...ages),
        next_after: afterText(described.next),
      },
      200,
    );
  },
);

groupRoutes.openapi(
  createRoute({
    method: "delete",
    path: "/v1/groups/{group}",
    tags,
    summary: "Delete a group that has no members, and its offsets",
    request: { params: GroupParams, query: NoQuery },
    responses: {
      204: { description: "Deleted." },
      ...errorResponses(...ofGroup, "NON_EMPTY_GROUP"),
    },
  }),
  async (c) => {
    const failed = await new Cluster(c.env).group(c.req.valid("param").group).deleteGroup();
    if (failed !== null) throw EdgelogError.from(failed);
    return c.body(null, 204);
  },
);

function memberAnswer(member: DescribedMember): z.infer<typeof GroupMember> {
  const named = (assignment: DescribedMember["assignment"]) =>
    assignment.map(({ topic, partitions }) => ({ topic, partitions: [...partitions] }));
  return {
    member_id: member.memberId,
    instance_id: member.instanceId,
    client_id: member.clientId,
    client_host: member.clientHost,
    member_epoch: member.memberEpoch,
    assignment: named(member.assignment),
    target_assignment: member.targetAssignment === null ? null : named(member.targetAssignment),
  };
}

function partitionAnswer(described: DescribedPartition): z.infer<typeof GroupPartition> {
  const { topic, partition, committed, memberId, lag } = described;
  const known = isFailure(lag) ? undefined : lag;
  return {
    topic,
    partition,
    committed_offset: committed?.offset ?? null,
    leader_epoch: committed?.leaderEpoch ?? null,
    metadata: committed?.metadata ?? null,
    committed_at_ms: committed?.committedAtMs ?? null,
    member_id: memberId,
    log_start_offset: known?.logStartOffset ?? null,
    log_end_offset: known?.logEndOffset ?? null,
    lag_records: known?.records ?? null,
    lag_ms: known?.ms ?? null,
    ...(isFailure(lag) && { error: errorDetail(lag) }),
  };
}
