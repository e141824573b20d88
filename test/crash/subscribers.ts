/** Whoever is sent what is appended: a WebSocket that is opened again at its position whenever it is lost. */

import { setTimeout as delay } from "node:timers/promises";
import { isFailure } from "../../src/model/errors.ts";
import { JSON_SUBPROTOCOL, parseServerMessage, type ServerMessage } from "../../src/subscribe/protocol.ts";
import type { SeenRecord } from "./history.ts";
import { originOf } from "./records.ts";
import type { LiveTopic, World } from "./world.ts";

const CREDIT_BYTES = 20_000;
const LOOK_UP_MS = 100;

/** Follows a partition through every restart, until the topic ends or the run is over. */
export async function subscribe(
  world: World,
  topic: LiveTopic,
  partition: number,
  isOver: () => boolean,
): Promise<void> {
  const history = topic.histories[partition];
  if (history === undefined) throw new RangeError(`${topic.name} has no partition ${partition}`);
  const hasEnded = () => topic.ended || isOver();
  let position = 0;
  const take = (message: ServerMessage, socket: WebSocket): void => {
    if (topic.ended) return;
    const by = world.by("a subscriber");
    if (message.type === "records") {
      const records: SeenRecord[] = message.records.map(({ offset, value }) => ({
        offset,
        ...originOf(String(value)),
      }));
      if (message.from !== position) {
        world.violated(
          `${history.partition}: ${by} is at ${position}, and is sent what follows ${message.from}`,
        );
      }
      world.report(history.followed(position, records, by));
      world.count("records subscribed to", records.length);
      position = message.next;
      socket.send(JSON.stringify({ type: "credit", bytes: message.bytes }));
    }
    if (message.type !== "error") return;
    const { code, message: text, retriable } = message.error;
    const { log_start_offset: logStart = 0 } = message;
    if (code === "OFFSET_OUT_OF_RANGE" && logStart > position) position = logStart;
    else if (!retriable || !world.r2Fails) {
      world.violated(`${history.partition}: ${by} at ${position} was told ${code}: ${text}`);
    }
  };
  for (;;) {
    const api = await world.up();
    if (hasEnded()) return;
    const query = `partition=${partition}&offset=${position}&credit_bytes=${CREDIT_BYTES}`;
    const url = `${api.url.replace("http:", "ws:")}/v1/topics/${topic.name}/subscribe?${query}`;
    const wasOpen = await useSocket(url, hasEnded, take);
    if (wasOpen) continue;
    // A refused WebSocket does not say why: perhaps the log begins later by now.
    const answer = await api.offset(topic.name, partition, "earliest");
    if (answer.kind === "ok") position = Math.max(position, answer.value);
    await delay(LOOK_UP_MS);
  }
}

/** Resolves when the socket is closed: whether it had been opened. */
function useSocket(
  url: string,
  hasEnded: () => boolean,
  take: (message: ServerMessage, socket: WebSocket) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, JSON_SUBPROTOCOL);
    let wasOpen = false;
    const watch = setInterval(() => {
      if (hasEnded()) socket.close();
    }, LOOK_UP_MS);
    socket.addEventListener("open", () => {
      wasOpen = true;
    });
    socket.addEventListener("message", ({ data }) => {
      const message = parseServerMessage(String(data));
      if (isFailure(message)) throw new Error(message.message);
      if (message !== undefined) take(message, socket);
    });
    socket.addEventListener("close", () => {
      clearInterval(watch);
      resolve(wasOpen);
    });
  });
}
