import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { decodeFrame } from "../../src/subscribe/frame.ts";
import { encodeClientMessage, parseServerMessage } from "../../src/subscribe/protocol.ts";
import { SocketBridge } from "../../src/subscribe/socket-bridge.ts";
import { UnsentBudget } from "../../src/subscribe/unsent-budget.ts";
import { ok } from "../cluster/results.ts";
import { batchOf, createTopic } from "../cluster/support.ts";

const KiB = 1024;
const BUDGET_BYTES = 512 * KiB;
const BATCHES = 60;
const BATCH_BYTES = 32 * KiB;

test("what several-partition sockets have not credited is bounded together, and none keeps another from reading", async () => {
  const topic = await createTopic({}, 2);
  const cluster = new Cluster(env);
  for (let n = 0; n < BATCHES; n++)
    ok(await cluster.append(topic, n % 2, batchOf(["x".repeat(BATCH_BYTES)])));
  const budget = new UnsentBudget(BUDGET_BYTES);
  const stalled = Array.from({ length: 6 }, () => openBridge(cluster, topic, budget));
  await Promise.all(stalled.map(({ creditDue }) => creditDue));
  const held = stalled.reduce((sum, { received }) => sum + received(), 0);
  expect(held).toBeLessThan(BUDGET_BYTES + 7 * BATCH_BYTES);
  expect(budget.free()).toBeLessThan(BUDGET_BYTES / 2);

  const reader = openBridge(cluster, topic, budget, "credits");
  await reader.caughtUp;
  expect(reader.received()).toBeGreaterThan(BATCHES * BATCH_BYTES);
  for (const { close } of [...stalled, reader]) close();
  await expect.poll(() => budget.free()).toBe(BUDGET_BYTES);
});

/** A client of the whole topic that takes what comes, and says so or not. */
function openBridge(
  cluster: Cluster,
  topic: Awaited<ReturnType<typeof createTopic>>,
  budget: UnsentBudget,
  behaviour: "credits" | "stalls" = "stalls",
) {
  const { 0: client, 1: server } = new WebSocketPair();
  new SocketBridge(cluster, server, {
    topic,
    format: "binary",
    isolation: "read_uncommitted",
    creditBytes: 16 * KiB * KiB,
    starts: [0, 1].map((partition) => ({ partition, offset: 0 })),
    takesSubscribe: false,
    budget,
  });
  const creditDue = Promise.withResolvers<void>();
  const caughtUp = Promise.withResolvers<void>();
  let received = 0;
  let behind = 2;
  client.binaryType = "arraybuffer";
  client.addEventListener("message", ({ data }) => {
    if (typeof data === "string") {
      const message = parseServerMessage(data);
      if (message !== undefined && "type" in message && message.type === "credit_due") creditDue.resolve();
      if (message !== undefined && "type" in message && message.type === "caught_up" && --behind === 0) {
        caughtUp.resolve();
      }
      return;
    }
    const bytes = decodeFrame(data)?.batches.length ?? 0;
    received += bytes;
    if (behaviour === "credits") client.send(encodeClientMessage({ type: "credit", bytes }));
  });
  client.accept();
  return {
    creditDue: creditDue.promise,
    caughtUp: caughtUp.promise,
    received: () => received,
    close: () => client.close(1000),
  };
}
