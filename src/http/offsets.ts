/** GET …/offsets: Kafka's ListOffsets. */

import { createRoute, z } from "@hono/zod-openapi";
import {
  EARLIEST_LOCAL_TIMESTAMP,
  EARLIEST_TIMESTAMP,
  LATEST_TIERED_TIMESTAMP,
  LATEST_TIMESTAMP,
  MAX_TIMESTAMP,
} from "../../durable-objects/partition/rpc.ts";
import { Cluster } from "../cluster/cluster.ts";
import { unwrap } from "../model/errors.ts";
import { ISOLATIONS } from "../model/isolation.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { digitsOr, json, Offset, PartitionParams } from "./schemas.ts";

/** Kafka's special timestamps by the names of its tools. */
const SPECIAL = {
  earliest: EARLIEST_TIMESTAMP,
  latest: LATEST_TIMESTAMP,
  "max-timestamp": MAX_TIMESTAMP,
  "earliest-local": EARLIEST_LOCAL_TIMESTAMP,
  "latest-tiered": LATEST_TIERED_TIMESTAMP,
} as const;

const OffsetAnswer = z
  .object({
    offset: Offset.openapi({ description: "-1 if no record is that young." }),
    timestamp: z
      .int()
      .openapi({ format: "int64", description: "The record's, in ms; -1 where no record was looked up." }),
    leader_epoch: z.int(),
  })
  .openapi("OffsetForTimestamp");

export const offsetRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/v1/topics/{topic}/partitions/{partition}/offsets",
    tags: ["partitions"],
    summary: "Find an offset by time",
    request: {
      params: PartitionParams,
      query: z.strictObject({
        timestamp: digitsOr(["earliest", "latest", "max-timestamp", "earliest-local", "latest-tiered"])
          .optional()
          .openapi({
            description:
              "In ms: the first record at least that young. `earliest`: the log start. `latest` (the default): the log end. `max-timestamp`: the youngest record. `earliest-local`: the first offset that is not only in R2. `latest-tiered`: the last offset in R2.",
          }),
        isolation: z.enum(ISOLATIONS).optional().openapi({
          description:
            "`read_committed`: the log ends where the first open transaction begins. `read_uncommitted` if absent.",
        }),
      }),
    },
    responses: {
      200: { description: "The offset.", content: json(OffsetAnswer) },
      ...errorResponses("UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { topic, partition } = c.req.valid("param");
    const { timestamp = "latest", isolation } = c.req.valid("query");
    const found = unwrap(
      await new Cluster(c.env).listOffsets(
        topic,
        partition,
        typeof timestamp === "number" ? timestamp : SPECIAL[timestamp],
        isolation,
      ),
    );
    return c.json({ offset: found.offset, timestamp: found.timestamp, leader_epoch: found.leaderEpoch }, 200);
  },
);
