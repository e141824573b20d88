import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import kafkajs from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { KAFKA_WEBSOCKET_WINDOW_BYTES } from "../../src/model/limits.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";

const { Kafka, logLevel, Partitioners } = kafkajs;
const TOKEN = "a-token-of-this-cluster";
const HEADERS = { authorization: `Bearer ${TOKEN}` };

describe("the Kafka protocol in a WebSocket", () => {
  let platform: KafkaPlatform;
  let tunnel: Server;
  let address = "";
  beforeAll(async () => {
    platform = await startKafkaPlatform({ rootToken: TOKEN });
    tunnel = createServer((client) => pipe(client, openSocket(address)));
    tunnel.listen(0, "127.0.0.1");
    await once(tunnel, "listening");
    address = `127.0.0.1:${(tunnel.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    tunnel.close();
    await platform.stop();
  });

  function openSocket(advertised: string): WebSocket {
    const url = `${platform.url.replace("http", "ws")}/kafka?advertised=${advertised}`;
    return new WebSocket(url, "edgelog.kafka.v1", { headers: HEADERS });
  }

  /** What `edgelog tunnel` does, in little: bytes both ways, telling how many were read. */
  function pipe(client: Socket, socket: WebSocket): void {
    let read = 0;
    socket.on("open", () => client.on("data", (chunk) => socket.send(chunk)));
    socket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) return;
      read += data.length;
      client.write(data, () => socket.readyState === WebSocket.OPEN && socket.send(String(read)));
    });
    client.on("close", () => socket.close()).on("error", () => socket.close());
    socket.on("close", () => client.destroy()).on("error", () => client.destroy());
  }

  it("serves a client through a tunnel, whose address it is told to connect to", async () => {
    const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: "tunnelled" }] });
    const { brokers } = await admin.describeCluster();
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([address]);
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    // More in all than the window, so that it must have moved.
    const value = "x".repeat(900_000);
    for (let sent = 0; sent < 2 * KAFKA_WEBSOCKET_WINDOW_BYTES; sent += value.length) {
      await producer.send({ topic: "tunnelled", messages: [{ value }] });
    }
    expect(await admin.fetchTopicOffsets("tunnelled")).toMatchObject([{ high: "10" }]);
    await producer.disconnect();
    await admin.disconnect();
  });

  it("ends a socket that sends more than the window before it is told that it was read", async () => {
    const socket = openSocket(address);
    await once(socket, "open");
    socket.send(Buffer.alloc(KAFKA_WEBSOCKET_WINDOW_BYTES + 1));
    const [code] = await once(socket, "close");
    expect(code).toBe(1008);
  });

  it("ends a socket that claims to have read what it was not sent", async () => {
    const socket = openSocket(address);
    await once(socket, "open");
    socket.send("1000");
    const [code] = await once(socket, "close");
    expect(code).toBe(1008);
  });

  it.each([
    ["without a token", {}, "127.0.0.1:9092", 401],
    ["without an address to advertise", HEADERS, "", 400],
  ])("is refused %s", async (_, headers, advertised, status) => {
    const socket = new WebSocket(`${platform.url.replace("http", "ws")}/kafka?advertised=${advertised}`, {
      headers,
    });
    const [, response] = await once(socket, "unexpected-response");
    expect(response.statusCode).toBe(status);
  });
});
