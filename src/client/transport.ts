/** One HTTP call to the cluster: its URL, its token, its timeout, and every way to fail as an {@link EdgelogError}. */

import { EdgelogError, type ErrorName, isErrorName } from "../model/errors.ts";
import { type AbortSignalLike, onAbort } from "./abort.ts";
import type { FetchLike, FetchResponse } from "./platform.ts";
import { type Backoff, retrying } from "./retry.ts";

export interface TransportOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly fetch: FetchLike;
  readonly requestTimeoutMs: number;
  readonly backoff: Backoff;
}

export interface Call {
  readonly method?: "DELETE" | "GET" | "PATCH" | "POST" | "PUT";
  /** From {@link path}. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as they are. */
  readonly bytes?: { readonly data: Uint8Array<ArrayBuffer>; readonly type: string };
  readonly prefer?: "return=minimal";
  readonly signal?: AbortSignalLike | undefined;
  /** Instead of the client's `requestTimeoutMs`. */
  readonly timeoutMs?: number;
}

/** A path under `/v1`, with its segments escaped. */
export function path(strings: TemplateStringsArray, ...segments: readonly (string | number)[]): string {
  return strings.reduce((text, next, i) => `${text}${encodeURIComponent(segments[i - 1] ?? "")}${next}`);
}

export class Transport {
  readonly options: TransportOptions;
  readonly #base: string;

  /** Throws INVALID_REQUEST where the URL is not one that HTTP can reach. */
  constructor(options: TransportOptions) {
    this.options = options;
    const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new EdgelogError(
        "INVALID_REQUEST",
        `url must be the http: or https: address of the cluster, such as http://127.0.0.1:8787, not ${JSON.stringify(options.url)}`,
      );
    }
    this.#base = url.origin + url.pathname.replace(/\/+$/, "");
  }

  url(call: Pick<Call, "path" | "query">): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const text = query.toString();
    return `${this.#base}${call.path}${text === "" ? "" : `?${text}`}`;
  }

  /** The same resource, for a WebSocket. */
  webSocketUrl(call: Pick<Call, "path" | "query">): string {
    return this.url(call).replace(/^http/, "ws");
  }

  /** The JSON of the answer. Throws the cluster's error, NETWORK_EXCEPTION or REQUEST_TIMED_OUT, or the signal's reason. */
  async call(call: Call): Promise<unknown> {
    call.signal?.throwIfAborted();
    const timeoutMs = call.timeoutMs ?? this.options.requestTimeoutMs;
    const method = call.method ?? "GET";
    const url = this.url(call);
    const controller = new AbortController();
    const timedOut = new EdgelogError(
      "REQUEST_TIMED_OUT",
      `${method} ${url} was not answered in ${timeoutMs} ms`,
    );
    const timer = setTimeout(() => controller.abort(timedOut), timeoutMs);
    const end = onAbort(call.signal, () => controller.abort(call.signal?.reason));
    try {
      const response = await this.options.fetch(url, {
        method,
        headers: this.#headers(call),
        signal: controller.signal,
        ...body(call),
      });
      const text = await response.text();
      return parseAnswer(response, text, `${method} ${url}`);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      if (error instanceof EdgelogError) throw error;
      throw new EdgelogError("NETWORK_EXCEPTION", `${method} ${url}: ${causeOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      end();
    }
  }

  /** The same, tried again on retriable errors for as long as `requestTimeoutMs` allows. Only for calls that may happen twice. */
  callRepeatedly(call: Call): Promise<unknown> {
    return this.repeat(() => this.call(call), call.signal);
  }

  /** The same for more than one call. */
  repeat<T>(run: () => Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
    const { backoff, requestTimeoutMs } = this.options;
    return retrying(run, { ...backoff, deadlineMs: Date.now() + requestTimeoutMs, signal });
  }

  #headers(call: Call): Record<string, string> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (call.prefer !== undefined) headers.prefer = call.prefer;
    if (this.options.token !== undefined) headers.authorization = `Bearer ${this.options.token}`;
    if (call.bytes !== undefined) headers["content-type"] = call.bytes.type;
    else if (call.json !== undefined) headers["content-type"] = "application/json";
    return headers;
  }
}

function body(call: Call): { body?: string | Uint8Array<ArrayBuffer> } {
  if (call.bytes !== undefined) return { body: call.bytes.data };
  return call.json === undefined ? {} : { body: JSON.stringify(call.json) };
}

function parseAnswer(response: FetchResponse, text: string, what: string): unknown {
  const json = parseJson(text);
  if (response.ok) {
    if (json !== undefined || text === "") return json;
    throw new EdgelogError(
      "NETWORK_EXCEPTION",
      `${what}: the answer is not JSON; is this an Edgelog cluster?`,
    );
  }
  throw answeredError(response.status, json, text, what);
}

function answeredError(status: number, json: unknown, text: string, what: string): EdgelogError {
  const error = property(json, "error");
  const code = property(error, "code");
  const message = property(error, "message");
  if (isErrorName(code)) return new EdgelogError(code, typeof message === "string" ? message : undefined);
  // Not a word of ours: a proxy, or the platform in front of the Worker.
  return new EdgelogError(
    errorNameOf(status),
    `${what} was answered with HTTP ${status}: ${text.slice(0, 200) || "no body"}`,
  );
}

function errorNameOf(status: number): ErrorName {
  if (status === 401) return "SASL_AUTHENTICATION_FAILED";
  if (status === 403) return "CLUSTER_AUTHORIZATION_FAILED";
  if (status === 404) return "NOT_FOUND";
  if (status === 413) return "MESSAGE_TOO_LARGE";
  if (status === 429) return "THROTTLING_QUOTA_EXCEEDED";
  return status >= 500 ? "NETWORK_EXCEPTION" : "INVALID_REQUEST";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** fetch says only "fetch failed"; what went wrong is in the cause. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause: unknown = error.cause;
  return cause instanceof Error ? `${error.message} (${cause.message || cause.name})` : error.message;
}

/** A property of an answer that may have any form. */
export function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
