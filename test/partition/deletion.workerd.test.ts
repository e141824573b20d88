import { runDurableObjectAlarm } from "cloudflare:test";
import { expect, test } from "vitest";
import { unwrap } from "../../src/model/errors.ts";
import { leaderSubscribeRequest } from "../../src/subscribe/leader-request.ts";
import { JSON_SUBPROTOCOL } from "../../src/subscribe/protocol.ts";
import { controller, createTopic, leaderOf } from "./support.ts";

test("a subscriber of a partition that was never written is told when its topic is deleted", async () => {
  const topic = await createTopic();
  const subscription = { partition: 0, offset: "latest", creditBytes: 1_000, format: "json" } as const;
  const request = leaderSubscribeRequest(subscription, topic.version, JSON_SUBPROTOCOL);
  const response = await leaderOf(topic).fetch(request.url, { headers: request.headers });
  const socket = response.webSocket;
  if (socket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  socket.accept();
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
  unwrap(await controller().deleteTopic(topic.name));
  await runDurableObjectAlarm(controller());
  expect((await closed).reason).toContain("UNKNOWN_TOPIC_ID");
});
