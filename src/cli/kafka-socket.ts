/** The WebSocket to a cluster, from Node. */

import type { MessageSocket } from "../kafka/byte-streams.ts";
import { reasonOf } from "./connection.ts";

const OPEN_MS_MAX = 15_000;
const UPGRADE_REQUIRED = 426;

/** Node's WebSocket, as far as it is needed here. */
export interface NodeWebSocket extends MessageSocket {
  binaryType: string;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

/** Node's takes headers too, unlike a browser's. */
type NodeWebSocketConstructor = new (
  url: string,
  options: { readonly protocols: string[]; readonly headers: Record<string, string> },
) => NodeWebSocket;

/** Opens it; undefined if that fails, takes too long or is given up. Why, {@link probe} can tell. */
export function openWebSocket(
  url: string,
  path: string,
  token: string | undefined,
  protocol: string,
  signal: AbortSignal,
): Promise<NodeWebSocket | undefined> {
  const address = resource(url, path).href.replace(/^http/, "ws");
  const socket = new (nodeWebSocket())(address, { protocols: [protocol], headers: authorization(token) });
  socket.binaryType = "arraybuffer";
  return new Promise((resolve) => {
    const giveUp = () => {
      settle(undefined);
      // Opened later, it would be nobody's.
      socket.addEventListener("open", () => socket.close(1000, "given up"));
      socket.close(1000, "given up");
    };
    const timer = setTimeout(giveUp, OPEN_MS_MAX);
    const settle = (opened: NodeWebSocket | undefined) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      resolve(opened);
    };
    signal.addEventListener("abort", giveUp);
    socket.addEventListener("open", () => settle(socket));
    socket.addEventListener("error", () => settle(undefined));
    socket.addEventListener("close", () => settle(undefined));
    if (signal.aborted) giveUp();
  });
}

/** What keeps the cluster from taking Kafka connections, in words for the user; undefined if nothing does. */
export async function probe(
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS_MAX)]);
  try {
    const address = resource(url, "kafka?advertised=127.0.0.1:9092");
    const response = await fetch(address, { headers: authorization(token), signal: limit });
    const answer = (await response.text()).slice(0, 10_000);
    if (response.status === UPGRADE_REQUIRED) return undefined;
    const message = messageOf(answer);
    if (response.status === 401) {
      const said = message === undefined ? "" : ` ${message}`;
      return `${url} refuses the token.${said}\nPass the cluster's token with --token or EDGELOG_TOKEN.`;
    }
    return `${url} takes no Kafka connections: ${message ?? `HTTP ${response.status}`}`;
  } catch (error) {
    return `${url} does not answer (${reasonOf(error)}).`;
  }
}

function resource(url: string, path: string): URL {
  return new URL(path, url.endsWith("/") ? url : `${url}/`);
}

function authorization(token: string | undefined): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** Of the cluster's `{"error": {"message": …}}`. */
function messageOf(text: string): string | undefined {
  try {
    const message: unknown = JSON.parse(text)?.error?.message;
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function nodeWebSocket(): NodeWebSocketConstructor {
  const found: unknown = Reflect.get(globalThis, "WebSocket");
  if (isConstructor(found)) return found;
  throw new Error("this Node has no global WebSocket; use Node 22 or newer");
}

function isConstructor(value: unknown): value is NodeWebSocketConstructor {
  return typeof value === "function";
}
