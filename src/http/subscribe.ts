/** GET /v1/topics/{topic}/subscribe: WebSocket or event stream, see docs/subscriptions.md. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { type Failure, failure, isFailure, unwrap } from "../model/errors.ts";
import { ISOLATIONS, type Isolation } from "../model/isolation.ts";
import {
  PARTITION_MAX,
  SUBSCRIBER_CREDIT_BYTES_DEFAULT,
  SUBSCRIBER_CREDIT_BYTES_MAX,
} from "../model/limits.ts";
import { quote } from "../model/quote.ts";
import { noSuchPartition, type Topic } from "../model/topic.ts";
import { eventStream } from "../subscribe/event-stream.ts";
import { everyPartition } from "../subscribe/every-partition.ts";
import { connectToLeader } from "../subscribe/leader-connection.ts";
import type { FrameFormat } from "../subscribe/leader-request.ts";
import { parsePositions, type StartPosition } from "../subscribe/position.ts";
import {
  BINARY_SUBPROTOCOL,
  chooseSubprotocol,
  type PartitionStart,
  type Subprotocol,
} from "../subscribe/protocol.ts";
import { SocketBridge } from "../subscribe/socket-bridge.ts";
import { startOffsets } from "../subscribe/start-offsets.ts";
import { type HttpContext, newRoutes } from "./context.ts";
import { boundsBeside, errorResponse, errorResponses, invalid } from "./errors.ts";
import { digits, digitsOr, documentedAnswer, TopicParams } from "./schemas.ts";

const EVENT_STREAM_TYPE = "text/event-stream";

const SubscribeQuery = z
  .strictObject({
    partition: digits({ max: PARTITION_MAX })
      .optional()
      .openapi({ description: "Only this one. A WebSocket then goes straight through to its leader." }),
    offset: digitsOr(["earliest", "latest"])
      .optional()
      .openapi({ description: "Where to begin; a number needs `partition`." }),
    timestamp: digits({ max: Number.MAX_SAFE_INTEGER })
      .optional()
      .openapi({ description: "ms: begin at the first record at least this young. Excludes `offset`." }),
    credit_bytes: digits({ max: SUBSCRIBER_CREDIT_BYTES_MAX })
      .optional()
      .openapi({
        description: `WebSocket: what may be sent before the first \`credit\`; ${SUBSCRIBER_CREDIT_BYTES_DEFAULT} if absent.`,
      }),
    isolation: z.enum(ISOLATIONS).default("read_uncommitted").openapi({
      description:
        "`read_committed`: no records of transactions that are open or aborted, and nothing behind the first open one.",
    }),
    value: z.enum(["json"]).optional().openapi({
      description: "`json`: values that are JSON texts appear as what they say, others as without it.",
    }),
    topic_id: z.string().max(100).optional().openapi({
      description: "The topic must have this id: one that was made anew under the same name is refused.",
    }),
    ticket: z.string().max(1_000).optional().openapi({
      description: "From `POST /v1/tickets`, where no header can be set.",
    }),
  })
  .refine(({ offset, timestamp }) => offset === undefined || timestamp === undefined, {
    message: "offset and timestamp exclude each other; send one of them",
  });

type SubscribeQuery = z.infer<typeof SubscribeQuery>;

export const subscribeRoutes = newRoutes();

subscribeRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/topics/{topic}/subscribe",
    tags: ["records"],
    summary: "Subscribe to records as they come",
    description:
      "A WebSocket (subprotocols `edgelog.v1.json` and `edgelog.v1.binary`), or an event stream for `Accept: text/event-stream`, which `Last-Event-ID` resumes. docs/subscriptions.md has the messages.",
    request: {
      params: TopicParams,
      query: SubscribeQuery,
      headers: z.object({ "last-event-id": z.string().max(32_768).optional() }),
    },
    responses: {
      101: { description: "The WebSocket is open." },
      200: documentedAnswer({
        description: "The event stream; it does not end.",
        content: { [EVENT_STREAM_TYPE]: { schema: { type: "string" } } },
      }),
      ...errorResponses(
        "UNKNOWN_TOPIC_OR_PARTITION",
        "UNKNOWN_TOPIC_ID",
        "INVALID_TOPIC_EXCEPTION",
        "OFFSET_OUT_OF_RANGE",
        "UPGRADE_REQUIRED",
        "THROTTLING_QUOTA_EXCEEDED",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const query = c.req.valid("query");
    const cluster = new Cluster(c.env);
    const topic = unwrap(await topicWith(cluster, c.req.valid("param").topic, query));
    const { offset, partition } = query;
    if (typeof offset === "number" && partition === undefined && topic.partitions > 1) {
      throw invalid(
        `offset=${offset} needs partition=, because topic ${topic.name} has ${topic.partitions}.`,
      );
    }
    if (c.req.header("upgrade")?.toLowerCase() === "websocket") {
      return openSocket(cluster, topic, query, c.req.header("sec-websocket-protocol") ?? null);
    }
    if (c.req.header("accept")?.toLowerCase().includes(EVENT_STREAM_TYPE)) {
      return openEventStream(c, cluster, topic, query);
    }
    return errorResponse(
      failure(
        "UPGRADE_REQUIRED",
        `Open a WebSocket here, or ask for an event stream with Accept: ${EVENT_STREAM_TYPE}.`,
      ),
    );
  },
);

// ── WebSocket ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function openSocket(
  cluster: Cluster,
  topic: Topic,
  query: SubscribeQuery,
  offered: string | null,
): Promise<Response> {
  const subprotocol = chooseSubprotocol(offered);
  const format = formatOf(subprotocol, query.value);
  const creditBytes = query.credit_bytes ?? SUBSCRIBER_CREDIT_BYTES_DEFAULT;
  const { isolation } = query;
  const wanted = { format, isolation, creditBytes };
  const start = startOf(query);
  const isOne = query.partition !== undefined || (start !== undefined && topic.partitions === 1);
  if (!isOne) {
    const starts = start === undefined ? [] : startsOfAll(topic, start);
    const takesSubscribe = start === undefined;
    return bridge(cluster, subprotocol, { topic, ...wanted, starts, takesSubscribe });
  }
  const partition = query.partition ?? 0;
  const first = { partition, ...(start ?? { offset: "latest" as const }) };
  const offset = await offsetForLeader(cluster, topic, first, isolation);
  if (isFailure(offset)) return errorResponse(offset);
  const answer = await connectToLeader(cluster, topic, { partition, offset, ...wanted }, subprotocol);
  if (isFailure(answer)) return errorResponse(answer);
  if (answer.kind === "socket") return answer.response;
  const starts = [{ partition, offset: answer.offset }];
  return bridge(cluster, subprotocol, { topic, ...wanted, starts, takesSubscribe: false });
}

function bridge(
  cluster: Cluster,
  subprotocol: Subprotocol | undefined,
  options: ConstructorParameters<typeof SocketBridge>[2],
): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  new SocketBridge(cluster, server, options);
  const headers = new Headers();
  if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol);
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** The leader itself knows the ends of its log; a time is looked up for it. */
async function offsetForLeader(
  cluster: Cluster,
  topic: Topic,
  start: PartitionStart,
  isolation: Isolation,
): Promise<number | "earliest" | "latest" | Failure> {
  if ("offset" in start) return start.offset;
  const offsets = await startOffsets(cluster, topic, [start], isolation, "unchecked");
  return isFailure(offsets) ? offsets : (offsets[0]?.offset ?? "latest");
}

function formatOf(subprotocol: Subprotocol | undefined, value: "json" | undefined): FrameFormat {
  if (subprotocol === BINARY_SUBPROTOCOL) return "binary";
  return value === "json" ? "json-values" : "json";
}

// ── event stream ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function openEventStream(
  c: HttpContext,
  cluster: Cluster,
  topic: Topic,
  query: SubscribeQuery,
): Promise<Response> {
  const lastEventId = c.req.header("last-event-id");
  const start = startOf(query) ?? ({ offset: "latest" } as const);
  const starts =
    lastEventId === undefined || lastEventId === ""
      ? startsOf(topic, query.partition, start)
      : unwrap(resumed(topic, query.partition, lastEventId));
  const { isolation } = query;
  const offsets = await startOffsets(cluster, topic, starts, isolation, "checked");
  if (isFailure(offsets)) return errorResponse(offsets, boundsBeside(offsets));
  const { signal } = c.req.raw;
  return new Response(
    eventStream(cluster, { topic, starts: offsets, isolation, value: query.value, signal }),
    {
      headers: {
        "content-type": EVENT_STREAM_TYPE,
        // An intermediary that compresses or buffers would hold events back.
        "cache-control": "no-store, no-transform",
        "x-accel-buffering": "no",
      },
    },
  );
}

/** Partitions that the id does not know have come since: from their beginning. */
function resumed(
  topic: Topic,
  partition: number | undefined,
  lastEventId: string,
): readonly PartitionStart[] | Failure {
  const positions = parsePositions(lastEventId);
  if (isFailure(positions)) return positions;
  const starts = startsOf(topic, partition, { offset: "earliest" });
  const unknown = [...positions.keys()].find((index) => !starts.some((start) => start.partition === index));
  if (unknown !== undefined) {
    return failure("INVALID_REQUEST", `Last-Event-ID: partition ${unknown} is not of this stream.`);
  }
  return starts.map(({ partition: index }) => ({
    partition: index,
    offset: positions.get(index) ?? "earliest",
  }));
}

// ── what to subscribe to ─────────────────────────────────────────────────────────────────────────────────────────────

function startOf({ offset, timestamp }: SubscribeQuery): StartPosition | undefined {
  if (timestamp !== undefined) return { timestamp };
  return offset === undefined ? undefined : { offset };
}

function startsOf(
  topic: Topic,
  partition: number | undefined,
  start: StartPosition,
): readonly PartitionStart[] {
  return partition === undefined ? startsOfAll(topic, start) : [{ partition, ...start }];
}

function startsOfAll(topic: Topic, start: StartPosition): readonly PartitionStart[] {
  return everyPartition(topic).map((partition) => ({ partition, ...start }));
}

/** What is cached of the topic may be older than its last partition, or than the topic. */
async function topicWith(cluster: Cluster, name: string, query: SubscribeQuery): Promise<Topic | Failure> {
  const known = await cluster.topic(name);
  if (isFailure(known) || topicProblem(known, query) === undefined) return known;
  cluster.forget(known);
  const topic = await cluster.topic(name);
  return isFailure(topic) ? topic : (topicProblem(topic, query) ?? topic);
}

function topicProblem(
  topic: Topic,
  { partition = 0, topic_id = topic.id }: SubscribeQuery,
): Failure | undefined {
  if (topic_id !== topic.id) {
    return failure(
      "UNKNOWN_TOPIC_ID",
      `Topic ${topic.name} has been made anew: it is not ${quote(topic_id)}.`,
    );
  }
  return partition < topic.partitions ? undefined : noSuchPartition(topic, partition);
}
