import { Cluster } from "../cluster/cluster.ts";
import { countKafkaRequest } from "../cluster/counters.ts";
import { FetchSources } from "../cluster/fetch-sources.ts";
import type { Principal } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import { EdgelogError } from "../model/errors.ts";
import {
  KAFKA_IDLE_MS_MAX,
  KAFKA_REQUESTS_IN_FLIGHT_MAX,
  KAFKA_STALLED_MS_MAX,
  KAFKA_WATCHDOG_MS,
} from "../model/limits.ts";
import type { Brokers } from "./brokers.ts";
import { readRequestHeader } from "./frame.ts";
import { type Frame, FrameStream } from "./frame-stream.ts";
import type { Answer } from "./handler.ts";
import { answerUnsupportedApiVersions } from "./handlers/api-versions.ts";
import { handlerOf, isAllowedUnauthenticated, offeredApis } from "./handlers/index.ts";
import { answerBareToken } from "./handlers/sasl-authenticate.ts";
import { RequestOrder } from "./request-order.ts";
import { isIn } from "./schema.ts";
import type { Session } from "./session.ts";
import { WireReader } from "./wire-reader.ts";

/** What is written to the network at a time. */
const WRITE_BYTES = 256 * 1024;

/** What a connection brings along. */
export interface KafkaContext {
  readonly env: Env;
  /** Where the client is told to find the brokers. */
  readonly brokers: Brokers;
  readonly clientHost: string;
  /** Who is asking, where that is known already; else the client authenticates by SASL. */
  readonly principal: Principal | undefined;
}

/**
 * Serves one client of the Kafka protocol until it leaves, breaks the protocol, or goes silent. Requests are worked on
 * as they come, at most KAFKA_REQUESTS_IN_FLIGHT_MAX of them; answers go out in the order of the requests, and a client
 * that does not take them is not read from.
 */
export async function serveKafka(
  readable: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  context: KafkaContext,
): Promise<void> {
  await new Connection(readable, writable, context).run();
}

/** An answer that is under way, and the frame of its request. */
interface Pending {
  readonly answer: Promise<Answer | undefined>;
  readonly frame: Frame;
}

class Connection {
  readonly #frames: FrameStream;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #session: Session;
  readonly #gone = new AbortController();
  readonly #order = new RequestOrder();
  readonly #pending: Pending[] = [];
  #hasEnded = false;
  /** Wakes whoever waits for `#pending` to change, or for the end. */
  #changed = Promise.withResolvers<void>();
  #writingSinceMs: number | undefined;

  constructor(
    readable: ReadableStream<Uint8Array>,
    writable: WritableStream<Uint8Array>,
    { env, brokers, clientHost, principal }: KafkaContext,
  ) {
    this.#frames = new FrameStream(readable);
    this.#writer = writable.getWriter();
    const cluster = new Cluster(env, { keepsSessions: true });
    const { signal } = this.#gone;
    const fetches = new FetchSources(cluster, signal);
    const clusterId = () => clusterIdOf(cluster);
    this.#session = {
      env,
      cluster,
      brokers,
      clientHost,
      principal,
      signal,
      fetches,
      clusterId,
      sasl: "none",
    };
  }

  async run(): Promise<void> {
    const watchdog = setInterval(() => this.#closeIfStuck(), KAFKA_WATCHDOG_MS);
    // Whichever ends first, the other cannot go on: answers without requests, or requests that nobody can answer.
    const writing = this.#writeAnswers().catch((error) => this.#fail(error));
    try {
      await this.#readRequests();
    } catch (error) {
      this.#fail(error);
    }
    this.#hasEnded = true;
    this.#gone.abort();
    this.#wake();
    await writing;
    clearInterval(watchdog);
    for (const { frame, answer } of this.#pending.splice(0)) {
      frame.release();
      answer.then((late) => late?.release()).catch(() => {});
    }
    this.#session.fetches.close();
    this.#session.cluster.close();
    await Promise.allSettled([this.#frames.cancel(), this.#writer.close()]);
  }

  async #readRequests(): Promise<void> {
    while (!this.#gone.signal.aborted) {
      const frame = await this.#frames.next(this.#session.principal !== undefined);
      if (frame === undefined || this.#gone.signal.aborted) {
        frame?.release();
        return;
      }
      const accepted = this.#accept(frame.bytes);
      const { answer } = accepted;
      // Whoever writes it will see it; until then a failure is not unhandled.
      answer.catch(() => {});
      this.#pending.push({ answer, frame });
      this.#wake();
      if (accepted.isLast) return;
      // What follows an exchange of SASL depends on its outcome.
      if (this.#session.principal === undefined) await answer;
      if (this.#session.sasl === "refused") return;
      while (this.#pending.length >= KAFKA_REQUESTS_IN_FLIGHT_MAX && !this.#gone.signal.aborted) {
        await this.#changed.promise;
      }
    }
  }

  /** A request that breaks the protocol ends the connection, when those before it are answered. */
  #accept(bytes: Uint8Array): { readonly answer: Promise<Answer | undefined>; readonly isLast: boolean } {
    try {
      return { answer: this.#handle(bytes), isLast: false };
    } catch (error) {
      return { answer: Promise.reject(error), isLast: true };
    }
  }

  #handle(bytes: Uint8Array): Promise<Answer | undefined> {
    const session = this.#session;
    if (session.sasl === "tokens") return answerBareToken(bytes, session);
    const reader = new WireReader(bytes);
    const header = readRequestHeader(reader);
    const { apiKey, apiVersion } = header;
    if (session.principal === undefined && !isAllowedUnauthenticated(apiKey)) {
      throw new EdgelogError("SASL_AUTHENTICATION_FAILED", `API ${apiKey} was asked for before SASL`);
    }
    const handler = handlerOf(apiKey);
    if (handler !== undefined && isIn(handler.api.versions, apiVersion)) {
      countKafkaRequest(handler.api.name);
      return this.#order.run(handler.turn, () => handler.answer(header, reader, session));
    }
    const answer = answerUnsupportedApiVersions(header, offeredApis());
    if (answer !== undefined) return this.#order.run("serial", async () => answer);
    throw new EdgelogError("UNSUPPORTED_VERSION", `there is no API ${apiKey} in version ${apiVersion} here`);
  }

  async #writeAnswers(): Promise<void> {
    for (;;) {
      const [next] = this.#pending;
      if (next === undefined) {
        if (this.#hasEnded) return;
        await this.#changed.promise;
        continue;
      }
      const answer = await next.answer;
      next.frame.release();
      try {
        if (answer !== undefined) await this.#write(answer.parts);
      } finally {
        answer?.release();
        this.#pending.shift();
        this.#wake();
      }
    }
  }

  /** In pieces, so that it shows whether a slow client takes anything at all. */
  async #write(parts: readonly Uint8Array[]): Promise<void> {
    this.#writingSinceMs = Date.now();
    const write = async (piece: Uint8Array): Promise<void> => {
      await this.#writer.write(piece);
      this.#writingSinceMs = Date.now();
    };
    await Promise.all(parts.flatMap((part) => piecesOf(part).map(write)));
    this.#writingSinceMs = undefined;
  }

  #closeIfStuck(): void {
    const nowMs = Date.now();
    const { ms, isInFrame } = this.#frames.waiting(nowMs);
    const isIdle = this.#pending.length === 0 && ms > (isInFrame ? KAFKA_STALLED_MS_MAX : KAFKA_IDLE_MS_MAX);
    const isStalled =
      this.#writingSinceMs !== undefined && nowMs - this.#writingSinceMs > KAFKA_STALLED_MS_MAX;
    if (isIdle || isStalled) this.#fail(new EdgelogError("REQUEST_TIMED_OUT", "the client has gone silent"));
  }

  /** The client learns of it by the end of the connection: there is no answer that could say it. */
  #fail(error: unknown): void {
    if (this.#gone.signal.aborted) return;
    this.#gone.abort();
    if (!isOrdinary(error))
      console.warn(`a Kafka connection from ${this.#session.clientHost} failed:`, error);
    this.#wake();
    this.#frames.cancel().catch(() => {});
    this.#writer.abort(error).catch(() => {});
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

function piecesOf(part: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < part.length; at += WRITE_BYTES) pieces.push(part.subarray(at, at + WRITE_BYTES));
  return pieces;
}

let knownClusterId: string | undefined;

/** It never changes, and every Metadata answer has it. */
async function clusterIdOf(cluster: Cluster): Promise<string> {
  knownClusterId ??= (await cluster.controller.describeCluster()).clusterId;
  return knownClusterId;
}

/** A client that breaks the protocol, leaves in the middle, or goes silent is no fault of ours. */
function isOrdinary(error: unknown): boolean {
  return error instanceof EdgelogError ? error.code !== "UNKNOWN_SERVER_ERROR" : isConnectionLoss(error);
}

function isConnectionLoss(error: unknown): boolean {
  return (
    error instanceof Error && /disconnect|connection (lost|reset)|broken pipe|closed/i.test(error.message)
  );
}
