import { type Command, Option } from "commander";
import type { HostAndPort } from "../../kafka/brokers.ts";
import { collect, hostAndPort } from "../arguments.ts";
import { type ConnectionOptions, checkUrl, withConnection } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { startTunnel } from "../kafka-tunnel.ts";
import { note, printJson } from "../output.ts";
import { isLoopback } from "../platform.ts";
import { nextSignal } from "../signals.ts";

interface TunnelCommandOptions extends ConnectionOptions {
  readonly listen?: readonly HostAndPort[];
  readonly advertisedListener?: readonly HostAndPort[];
}

const DEFAULT_LISTENER: HostAndPort = { host: "127.0.0.1", port: 9092 };
/** What a far end that has gone still holds. */
const EXIT_MS = 1_000;

export function addTunnel(program: Command): void {
  const command = program
    .command("tunnel")
    .description("let Kafka clients on this machine reach a deployed cluster")
    .addOption(
      new Option(
        "--listen <host:port>",
        "where clients connect, once per virtual broker (default: 127.0.0.1:9092)",
      ).argParser(collect(hostAndPort)),
    )
    .addOption(
      new Option(
        "--advertised-listener <host:port>",
        "where clients are told to connect, once per --listen (default: where they have)",
      ).argParser(collect(hostAndPort)),
    );
  withConnection(command).action(tunnel);
}

async function tunnel(options: TunnelCommandOptions): Promise<void> {
  const { url, token, json, listen = [DEFAULT_LISTENER], advertisedListener: advertised } = options;
  checkUrl(options);
  if (advertised !== undefined && advertised.length !== listen.length) {
    throw new UsageError("Give --advertised-listener as often as --listen, in the same order.");
  }
  if (advertised?.some(({ port }) => port === 0)) {
    throw new UsageError("Clients cannot connect to port 0: give --advertised-listener the real one.");
  }
  const signal = nextSignal();
  const started = await startTunnel({
    url,
    listen,
    note,
    ...(token ? { token } : {}),
    ...(advertised === undefined ? {} : { advertised }),
  });
  if (json) await printJson({ url, kafka: started.addresses });
  for (const address of started.addresses) note(`kafka  ${address} -> ${url}`);
  const open = listen.filter(({ host }) => !isLoopback(host));
  if (token && open.length > 0) {
    note(`Whoever reaches ${open.map(({ host }) => host).join(", ")} acts with the token of this tunnel.`);
  }
  void started.check();
  await signal;
  await started.stop();
  setTimeout(() => process.exit(), EXIT_MS).unref();
}
