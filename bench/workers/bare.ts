/**
 * The least that could do the work, to hold Edgelog against: a Durable Object that inserts what it is given, one row per
 * commit group, one commit in flight, and nothing else; a Worker that forwards frames from TCP to it unread; and a loop
 * that sends to hibernating WebSockets. The object goes by the name of the class that it stands in for.
 */

import { DurableObject, RpcTarget } from "cloudflare:workers";
import { type Drive, drive, driveOf } from "../load/drive.ts";
import { pipe } from "./pipe.ts";

export interface BareEnv {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
}

const GROUP_BYTES_MAX = 1_950_000;
const GATHERING_TURNS_MAX = 16;
const QUIET_TURNS = 2;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly written: PromiseWithResolvers<number>;
}

export class PartitionLog extends DurableObject<BareEnv> {
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #inFlight = 0;
  #isGathering = false;
  #next = 0;
  #commits = 0;
  #confirmed: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: BareEnv) {
    super(ctx, env);
    this.#begin();
  }

  /** Answered when it is durable: the output gate holds the answer until then. */
  append(bytes: Uint8Array): Promise<number> {
    const waiting = { bytes, written: Promise.withResolvers<number>() };
    this.#waiting.push(waiting);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= GROUP_BYTES_MAX) this.#flush();
    else if (this.#inFlight === 0) void this.#gather();
    return waiting.written.promise;
  }

  session(): BareSession {
    return new BareSession(this);
  }

  /** The same callers without a call between them and the object. */
  inside(how: Drive, bytes: Uint8Array) {
    return drive({ ...how, partitions: 1 }, async () => {
      await this.append(bytes);
      await this.#confirmed;
    });
  }

  commits(): number {
    return this.#commits;
  }

  /** Gives back the space of what was measured. */
  clear(): void {
    this.ctx.storage.sql.exec("DROP TABLE log");
    this.#begin();
  }

  override async fetch(): Promise<Response> {
    const [client, server] = Object.values(new WebSocketPair());
    if (client === undefined || server === undefined) throw new Error("no sockets");
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Stored, and to every socket. */
  send(frame: Uint8Array): number {
    this.ctx.storage.sql.exec("INSERT INTO log VALUES (?, ?)", this.#next++, frame);
    const sockets = this.ctx.getWebSockets();
    for (const socket of sockets) socket.send(frame);
    return sockets.length;
  }

  #begin(): void {
    this.ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS log (base_offset INTEGER PRIMARY KEY, batches BLOB NOT NULL)",
    );
    // It may have slept among its sockets.
    const last = this.ctx.storage.sql.exec<{ last: number }>(
      "SELECT coalesce(max(base_offset), -1) AS last FROM log",
    );
    this.#next = last.one().last + 1;
  }

  /** Until two turns of the event loop bring nothing more, as the partition does. */
  async #gather(): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    for (let turns = 0, quiet = 0; turns < GATHERING_TURNS_MAX && quiet < QUIET_TURNS; turns++) {
      const before = this.#waiting.length;
      await new Promise((resolve) => setTimeout(resolve, 0));
      quiet = this.#waiting.length > before ? 0 : quiet + 1;
    }
    this.#isGathering = false;
    if (this.#inFlight === 0 && this.#waiting.length > 0) this.#flush();
  }

  #flush(): void {
    const group = this.#waiting;
    const bytes = joined(group, this.#waitingBytes);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.ctx.storage.sql.exec("INSERT INTO log VALUES (?, ?)", this.#next, bytes);
    for (const { written } of group) written.resolve(this.#next++);
    this.#commits++;
    this.#inFlight++;
    this.#confirmed = this.ctx.storage.sync().then(() => {
      this.#inFlight--;
      if (this.#inFlight === 0) void this.#gather();
    });
  }
}

class BareSession extends RpcTarget {
  readonly #log: PartitionLog;

  constructor(log: PartitionLog) {
    super();
    this.#log = log;
  }

  append(bytes: Uint8Array): Promise<number> {
    return this.#log.append(bytes);
  }
}

/** Only there because wrangler.toml names them. */
export class Controller extends DurableObject {}
export class GroupCoordinator extends DurableObject {}
export class TransactionCoordinator extends DurableObject {}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const logs = Array.from({ length: Number(url.searchParams.get("partitions") ?? 1) }, (_, partition) =>
      env.PARTITION.getByName(`bare-${partition}`),
    );
    switch (url.pathname) {
      case "/bench/inside":
      case "/bench/rpc":
      case "/bench/session": {
        const how = driveOf(url);
        const bytes = new Uint8Array(await request.arrayBuffer());
        return Response.json(await driveBy(url.pathname, how, logs, bytes));
      }
      case "/bench/commits":
        return Response.json(await Promise.all(logs.map((log) => log.commits())));
      case "/bench/clear":
        await Promise.all(logs.map((log) => log.clear()));
        return new Response();
      case "/bench/socket":
        return env.PARTITION.getByName("bare-0").fetch(request);
      case "/bench/send":
        return Response.json(
          await env.PARTITION.getByName("bare-0").send(new Uint8Array(await request.arrayBuffer())),
        );
      default:
        return new Response(null, { status: 404 });
    }
  },
  connect(socket, env) {
    return pipe(socket, env.PARTITION);
  },
} satisfies ExportedHandler<BareEnv>;

async function driveBy(
  path: string,
  how: Drive,
  logs: readonly DurableObjectStub<PartitionLog>[],
  bytes: Uint8Array,
) {
  if (path === "/bench/inside") {
    const all = await Promise.all(logs.map((log) => log.inside(how, bytes)));
    const sum = (count: "appends" | "allAppends") => all.reduce((total, one) => total + one[count], 0);
    return { appends: sum("appends"), allAppends: sum("allAppends"), ms: how.ms };
  }
  if (path === "/bench/rpc") return drive(how, async (partition) => logs[partition]?.append(bytes));
  const sessions = await Promise.all(logs.map((log) => log.session()));
  return drive(how, async (partition) => sessions[partition]?.append(bytes));
}

function joined(group: readonly Waiting[], length: number): Uint8Array {
  const [first] = group;
  if (first !== undefined && group.length === 1) return first.bytes;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const one of group) {
    bytes.set(one.bytes, at);
    at += one.bytes.length;
  }
  return bytes;
}
