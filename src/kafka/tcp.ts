import { ANONYMOUS, isOpen } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import { brokersOf, parseHostsAndPorts } from "./brokers.ts";
import { serveKafka } from "./connection.ts";

const UNKNOWN_ADDRESS = { host: "127.0.0.1", port: 9092 };

/** The Worker's `connect` handler: one Kafka client over TCP. */
export async function connectKafka(socket: Socket, env: Env): Promise<void> {
  const { localAddress = "", remoteAddress = "" } = await socket.opened;
  const [reached = UNKNOWN_ADDRESS] = parseHostsAndPorts(localAddress);
  await serveKafka(socket.readable, socket.writable, {
    env,
    brokers: brokersOf(env, reached),
    clientHost: `/${parseHostsAndPorts(remoteAddress)[0]?.host ?? remoteAddress}`,
    principal: isOpen(env) ? ANONYMOUS : undefined,
  });
  await socket.close().catch(() => {});
}
