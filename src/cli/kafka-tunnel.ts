/** The near end of the Kafka tunnel: TCP listeners whose connections each travel in a WebSocket. See docs/kafka.md. */

import { createServer, type Server, type Socket } from "node:net";
import type { HostAndPort } from "../kafka/brokers.ts";
import { byteStreams, KAFKA_SUBPROTOCOL } from "../kafka/byte-streams.ts";
import { KAFKA_STALLED_MS_MAX, TUNNEL_CONNECTIONS_MAX } from "../model/limits.ts";
import { listenFailure } from "./errors.ts";
import { pump } from "./kafka-pump.ts";
import { openWebSocket, probe } from "./kafka-socket.ts";

/** What the WebSocket API lets a client close with, in place of 1008. */
const PROTOCOL_VIOLATION = 4008;
/** The end of a WebSocket is answered; a far end that has gone does not. */
const STOP_MS_MAX = 2_000;

export interface TunnelOptions {
  /** Where the cluster is, http or https. */
  readonly url: string;
  readonly token?: string;
  /** One virtual broker each; port 0 takes a free one. */
  readonly listen: readonly HostAndPort[];
  /** Where clients are told to connect, one per listener; default: where they have. */
  readonly advertised?: readonly HostAndPort[];
  /** Told what the user should know, once until it changes. */
  readonly note: (message: string) => void;
}

export interface Tunnel {
  /** `host:port`, one per listener. */
  readonly addresses: readonly string[];
  /** Looks whether the cluster is there and takes the token; what is wrong goes to `note`. */
  check(): Promise<void>;
  /** Closes the listeners and every connection. */
  stop(): Promise<void>;
}

/** @throws {CliError} an address that cannot be listened on */
export async function startTunnel(options: TunnelOptions): Promise<Tunnel> {
  const connections = new Connections(options);
  const servers: Server[] = [];
  const close = () => Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  const listening: HostAndPort[] = [];
  try {
    for (const [broker, { host, port }] of options.listen.entries()) {
      const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (client) => {
        // Early, not all brokers are known yet.
        if (listening.length < options.listen.length) client.destroy();
        else void connections.carry(client, options.advertised ?? listening, broker);
      });
      server.maxConnections = TUNNEL_CONNECTIONS_MAX;
      server.on("drop", () =>
        connections.tell(`More than ${TUNNEL_CONNECTIONS_MAX} connections are refused.`),
      );
      listening.push({ host, port: await listen(server, host, port) });
      servers.push(server);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    addresses: listening.map(hostAndPortText),
    check: () => connections.check(),
    async stop() {
      const closed = close();
      await connections.stop();
      await closed;
    },
  };
}

/** All clients, and what has been said of the cluster. */
class Connections {
  readonly #options: TunnelOptions;
  readonly #carried = new Map<Socket, Promise<void>>();
  readonly #stopping = new AbortController();
  #told: string | undefined;
  #probing: Promise<string | undefined> | undefined;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  /** Carries what a client sends and is sent, until it leaves or the cluster closes. */
  async carry(client: Socket, brokers: readonly HostAndPort[], broker: number): Promise<void> {
    client.on("error", () => undefined);
    const carried = this.#connect(client, brokers, broker).finally(() => client.destroy());
    this.#carried.set(client, carried);
    await carried.finally(() => this.#carried.delete(client));
  }

  async #connect(client: Socket, brokers: readonly HostAndPort[], broker: number): Promise<void> {
    const gone = new AbortController();
    client.once("close", () => gone.abort());
    const { url, token } = this.#options;
    const advertised = brokers.map((broker) => hostAndPortText(reachedAt(broker, client))).join(",");
    const reached = brokers.length > 1 ? { broker: String(broker) } : {};
    const path = `kafka?${new URLSearchParams({ advertised, ...reached })}`;
    const socket = await openWebSocket(url, path, token, KAFKA_SUBPROTOCOL, gone.signal);
    if (socket === undefined) {
      if (!gone.signal.aborted && (await this.#problem()) === undefined) {
        this.tell(`${url} answers, but a WebSocket to it does not open: is there a proxy in between?`);
      }
      return;
    }
    this.#recovered();
    const ended = new Promise<void>((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        if (code === 1008) this.tell(`The cluster ended a connection: ${reason}.`);
        resolve();
      });
    });
    // A client that does not take what is left for it must not keep it here.
    void ended.then(() => setTimeout(() => client.destroy(), KAFKA_STALLED_MS_MAX).unref());
    await pump(client, byteStreams(socket, PROTOCOL_VIOLATION));
    await ended;
  }

  async check(): Promise<void> {
    if ((await this.#problem()) === undefined) this.#recovered();
  }

  /** What keeps the cluster from taking connections, which the user is told. One look for all that fail at a time. */
  #problem(): Promise<string | undefined> {
    this.#probing ??= probe(this.#options.url, this.#options.token, this.#stopping.signal)
      .then((problem) => {
        if (problem !== undefined) this.tell(problem);
        return problem;
      })
      .finally(() => {
        this.#probing = undefined;
      });
    return this.#probing;
  }

  tell(message: string): void {
    if (message === this.#told || this.#stopping.signal.aborted) return;
    this.#told = message;
    this.#options.note(message);
  }

  #recovered(): void {
    if (this.#told === undefined) return;
    this.#told = undefined;
    this.#options.note("The cluster takes connections again.");
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const client of this.#carried.keys()) client.destroy();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, STOP_MS_MAX);
      void Promise.allSettled(this.#carried.values()).then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** A listener on all addresses is told to each client as the one that it has reached. */
function reachedAt({ host, port }: HostAndPort, client: Socket): HostAndPort {
  if (host !== "0.0.0.0" && host !== "::") return { host, port };
  return { host: (client.localAddress ?? host).replace(/^::ffff:(?=\d+\.)/, ""), port };
}

function hostAndPortText({ host, port }: HostAndPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Returns the port. */
function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(listenFailure(error, host, port, "--listen", "--listen")));
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
