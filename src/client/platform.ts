/**
 * What the SDK needs of the place it runs in, as structural types: browsers, Node, Deno, Bun and Workers all provide it,
 * each with types of its own, and none of them leaks into the SDK's public types.
 */

import { EdgelogError } from "../model/errors.ts";

/** The part of `fetch`'s options that the SDK uses. */
export interface FetchOptions {
  method: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  signal: AbortSignal;
}

/** The part of `Response` that the SDK uses. */
export interface FetchResponse {
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
}

/** `globalThis.fetch`, or anything that does the same: a service binding's `fetch` in a Worker, a wrapper that adds headers. */
export type FetchLike = (url: string, options: FetchOptions) => Promise<FetchResponse>;

/** The part of a `WebSocket` that the SDK uses. */
export interface WebSocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open", listener: () => void): void;
  addEventListener(type: "error", listener: (event: object) => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

/** `globalThis.WebSocket`, the `WebSocket` of the package `ws`, or {@link webSocketOver} a service binding's `fetch`. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** The `fetch` of this platform; looked up at each call, so that a test or a polyfill may replace it. */
export const platformFetch: FetchLike = (url, options) => fetch(url, options);

/** The `WebSocket` of this platform. Node has one since version 22. */
export function platformWebSocket(): WebSocketConstructor {
  const found: unknown = Reflect.get(globalThis, "WebSocket");
  if (isWebSocketConstructor(found)) return found;
  throw new EdgelogError(
    "INVALID_REQUEST",
    "this platform has no global WebSocket, which consuming needs: pass one to the client " +
      '(Node 20: `npm install ws`, then `import { WebSocket } from "ws"` and `new Edgelog({ url, WebSocket })`), ' +
      "or use Node 22 or newer",
  );
}

function isWebSocketConstructor(value: unknown): value is WebSocketConstructor {
  return typeof value === "function";
}
