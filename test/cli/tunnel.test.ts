import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import kafkajs from "kafkajs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { KAFKA_WEBSOCKET_WINDOW_BYTES } from "../../src/model/limits.ts";
import { type KafkaPlatform, startKafkaPlatform } from "../kafka/kafka-platform.ts";
import { edgelog, end, occupiedPort, start, until } from "./edgelog.ts";

const { Kafka, logLevel, Partitioners } = kafkajs;
const TOKEN = "a-token-of-this-cluster";
const WINDOW = KAFKA_WEBSOCKET_WINDOW_BYTES;
/** The most that Node reads from a TCP connection at once. */
const CHUNK = 64 * 1024;

interface Tunnel {
  readonly process: ChildProcess;
  readonly addresses: readonly string[];
  readonly stderr: readonly string[];
}

const running: ChildProcess[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((child) => end(child, "SIGKILL")));
});

async function tunnel(url: string, token: string, ...args: string[]): Promise<Tunnel> {
  const listeners = args.includes("--listen") ? args : ["--listen", "127.0.0.1:0", ...args];
  const child = start(["tunnel", "--url", url, "--json", ...listeners], { EDGELOG_TOKEN: token });
  running.push(child);
  const stderr: string[] = [];
  if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
  createInterface(child.stderr).on("line", (line) => stderr.push(line));
  const [line] = await once(createInterface(child.stdout), "line");
  const { kafka: addresses }: { kafka: string[] } = JSON.parse(line);
  return { process: child, addresses, stderr };
}

function dial({ addresses: [address = ""] }: Tunnel): Promise<Socket> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connect(Number(port), hostname);
  return once(socket, "connect").then(() => socket.on("error", () => undefined));
}

async function gone(client: Socket): Promise<void> {
  client.resume();
  if (!client.closed) await once(client, "close");
}

describe("edgelog tunnel to a cluster", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ rootToken: TOKEN });
  });
  afterAll(() => platform.stop());

  test("Kafka clients administer, produce and consume with a group, over more bytes than the window", async () => {
    const { addresses, stderr, process: child } = await tunnel(platform.url, TOKEN);
    await until(async () => stderr.length > 0);
    expect(stderr).toEqual([`kafka  ${addresses[0]} -> ${platform.url}`]);
    const kafka = new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: "tunnelled", numPartitions: 2 }] });
    const { brokers } = await admin.describeCluster();
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(addresses);
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const sent = Array.from({ length: 12 }, (_, index) => String(index).repeat(400_000));
    for (const [index, value] of sent.entries()) {
      await producer.send({ topic: "tunnelled", messages: [{ value, partition: index % 2 }] });
    }
    const consumer = kafka.consumer({ groupId: "behind-the-tunnel" });
    await consumer.connect();
    await consumer.subscribe({ topic: "tunnelled", fromBeginning: true });
    const received: string[] = [];
    await consumer.run({
      eachMessage: async ({ message }) => void received.push(message.value?.toString() ?? ""),
    });
    await until(async () => received.length >= sent.length);
    expect(received.sort()).toEqual(sent.sort());
    await consumer.disconnect();
    await producer.disconnect();
    await admin.disconnect();
    expect(await end(child)).toBe(0);
    expect(stderr).toHaveLength(1);
  });

  test("each listener is a broker", async () => {
    const listeners = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    const { addresses } = await tunnel(platform.url, TOKEN, ...listeners);
    expect(addresses).toHaveLength(2);
    const admin = new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(addresses);
    await admin.disconnect();
  });

  test("a listener on all addresses is told to a client as the one that it has reached", async () => {
    const { addresses } = await tunnel(platform.url, TOKEN, "--listen", "0.0.0.0:0");
    const port = new URL(`tcp://${addresses[0]}`).port;
    const admin = new Kafka({ brokers: [`127.0.0.1:${port}`], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    expect(brokers).toMatchObject([{ host: "127.0.0.1", port: Number(port) }]);
    await admin.disconnect();
  });

  test("a token that is refused is said once, clients are let go, and the tunnel goes on", async () => {
    const wrong = await tunnel(platform.url, "wrong");
    const client = await dial(wrong);
    await gone(client);
    await gone(await dial(wrong));
    expect(wrong.stderr.filter((line) => line.includes("refuses the token"))).toHaveLength(1);
    expect(wrong.stderr.join("\n")).toContain("EDGELOG_TOKEN");
    expect(wrong.process.exitCode).toBe(null);
    expect(await end(wrong.process, "SIGINT")).toBe(0);
  });
});

describe("edgelog tunnel", () => {
  test("a cluster that cannot be reached is said once, and so is its coming back", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    await far.stop();
    await gone(await dial(near));
    await gone(await dial(near));
    expect(near.stderr.filter((line) => line.includes("does not answer (connect ECONNREFUSED"))).toHaveLength(
      1,
    );
    await far.listen();
    const client = await dial(near);
    await far.socket();
    await until(async () => near.stderr.at(-1) === "The cluster takes connections again.");
    client.destroy();
  });

  test("the token goes in the header, the address in the query, and never the other way", async () => {
    await using far = await farEnd();
    const near = await tunnel(`${far.url}/base`, TOKEN);
    await dial(near);
    const { url, headers } = await far.request();
    expect(url).toBe(`/base/kafka?advertised=${encodeURIComponent(near.addresses[0] ?? "")}`);
    expect(headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      "sec-websocket-protocol": "edgelog.kafka.v1",
    });
  });

  test("--advertised-listener says where the listeners are reached", async () => {
    await using far = await farEnd();
    const listeners = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    const advertised = ["--advertised-listener", "one.test:1", "--advertised-listener", "[::1]:2"];
    await dial(await tunnel(far.url, TOKEN, ...listeners, ...advertised));
    const { url } = await far.request();
    expect(new URL(url, far.url).searchParams.get("advertised")).toBe("one.test:1,[::1]:2");
  });

  test("a client that is killed leaves no WebSocket behind, even with bytes under way", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    const client = await dial(near);
    const socket = await far.socket();
    client.write(Buffer.alloc(2 * WINDOW));
    await until(async () => far.received(socket) > WINDOW - CHUNK);
    const closed = once(socket, "close");
    client.resetAndDestroy();
    // The tunnel does not read from its client meanwhile: it notices when it is told to go on.
    socket.send(String(far.received(socket)));
    await closed;
  });

  test("no more than the window goes ahead of what the cluster has told to have read", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    const client = await dial(near);
    const socket = await far.socket();
    const sent = Buffer.from(Array.from({ length: 3 * WINDOW }, (_, index) => index % 251));
    client.write(sent);
    for (let told = 0; told + WINDOW < sent.length; told = far.received(socket)) {
      socket.send(String(told));
      const most = told + WINDOW;
      await until(async () => far.received(socket) > most - CHUNK);
      // An answer to a ping comes after whatever it would have sent too much.
      socket.ping();
      await once(socket, "pong");
      expect(far.received(socket)).toBeLessThanOrEqual(most);
    }
    socket.send(String(far.received(socket)));
    await until(async () => far.received(socket) === sent.length);
    expect(far.bytes(socket).equals(sent)).toBe(true);
    client.destroy();
    await once(socket, "close");
  });

  test("what a client has not taken is not told to have been read, and too much ends the connection", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    const client = await dial(near);
    client.pause();
    const socket = await far.socket();
    for (let round = 0, sent = 0; round < 50; round++) {
      const allowed = far.told(socket) + WINDOW;
      if (allowed > sent) socket.send(Buffer.alloc(allowed - sent));
      sent = allowed;
      socket.ping();
      await once(socket, "pong");
    }
    // The system holds some for the client as well.
    expect(far.told(socket)).toBeLessThan(5 * WINDOW);
    socket.send(Buffer.alloc(WINDOW + 1));
    const [code] = await once(socket, "close");
    expect(code).toBe(4008);
    client.destroy();
  });

  test("when the cluster closes, the client gets what had come until then, and the end", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    const client = await dial(near);
    const socket = await far.socket();
    socket.send(Buffer.alloc(WINDOW, 7));
    socket.close(1000);
    let received = 0;
    for await (const chunk of client) received += chunk.length;
    expect(received).toBe(WINDOW);
  });

  test("when a client ends its half, the cluster gets what it sent, and the end", async () => {
    await using far = await farEnd();
    const near = await tunnel(far.url, TOKEN);
    const client = await dial(near);
    const socket = await far.socket();
    const closed = once(socket, "close");
    client.end(Buffer.alloc(1_000_000, 7));
    expect((await closed)[0]).toBe(1000);
    expect(far.received(socket)).toBe(1_000_000);
    await gone(client);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s ends it and its connections, with exit code 0",
    async (signal) => {
      await using far = await farEnd();
      const near = await tunnel(far.url, TOKEN);
      const client = await dial(near);
      const socket = await far.socket();
      const closed = Promise.all([gone(client), once(socket, "close")]);
      expect(await end(near.process, signal)).toBe(0);
      await closed;
    },
  );

  test("a port in use is an error that names it, exit code 1", async () => {
    await using occupied = await occupiedPort();
    const result = await edgelog(["tunnel", "--listen", `127.0.0.1:${occupied.port}`]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain(`127.0.0.1:${occupied.port}: the port is in use`);
    expect(result.stderr).toContain("choose another with --listen");
  });

  test.each([
    [["--listen", "9092"], "127.0.0.1:9092"],
    [["--listen", "127.0.0.1:99999"], "127.0.0.1:9092"],
    [["--url", "localhost"], "http://127.0.0.1:8787"],
    [["--advertised-listener", "a:1", "--advertised-listener", "b:1"], "as often as --listen"],
    [["--advertised-listener", "a:0"], "port 0"],
  ])("wrong usage is exit code 2 and says what would be right: %j", async (args, advice) => {
    const result = await edgelog(["tunnel", ...args]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain(advice);
  });
});

/** The far end of the tunnel without a cluster behind it: what the wire carries. */
async function farEnd() {
  const http = createServer((_, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({ server: http });
  const chunks = new Map<WebSocket, Buffer[]>();
  const told = new Map<WebSocket, number>();
  sockets.on("connection", (socket) => {
    const own: Buffer[] = [];
    chunks.set(socket, own);
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) own.push(data);
      else told.set(socket, Number(data));
    });
  });
  // Asked for after the client has connected, which may be before or after the WebSocket has.
  const connections: { socket: WebSocket; url: string; headers: object }[] = [];
  sockets.on("connection", (socket, { url = "", headers }) => connections.push({ socket, url, headers }));
  const next = async () => {
    await until(async () => connections.length > 0);
    const connection = connections.shift();
    if (connection === undefined) throw new Error("no connection");
    return connection;
  };
  let port = 0;
  const listen = async () => {
    http.listen(port, "127.0.0.1");
    await once(http, "listening");
    ({ port } = http.address() as AddressInfo);
  };
  const stop = async () => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    if (http.listening) await new Promise((resolve) => http.close(resolve));
  };
  await listen();
  const bytes = (socket: WebSocket) => Buffer.concat(chunks.get(socket) ?? []);
  return {
    url: `http://127.0.0.1:${port}`,
    listen,
    stop,
    request: next,
    socket: async () => (await next()).socket,
    bytes,
    received: (socket: WebSocket) => (chunks.get(socket) ?? []).reduce((sum, { length }) => sum + length, 0),
    told: (socket: WebSocket) => told.get(socket) ?? 0,
    [Symbol.asyncDispose]: stop,
  };
}
