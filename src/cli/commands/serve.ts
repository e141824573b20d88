import { resolve } from "node:path";
import { type Command, Option } from "commander";
import {
  CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS,
  GROUP_INITIAL_REBALANCE_DELAY_MS,
  GROUP_SESSION_TIMEOUT_MS,
  OFFSETS_RETENTION_MINUTES,
  PARTITIONS_PER_TOPIC_MAX,
} from "../../model/limits.ts";
import {
  booleanText,
  collect,
  directoryPath,
  hostsAndPorts,
  integerBetween,
  portNumber,
} from "../arguments.ts";
import { note, printJson, printLine } from "../output.ts";
import { type Platform, startPlatform } from "../platform.ts";
import { nextSignal } from "../signals.ts";

interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly kafkaPort?: readonly number[];
  readonly data: string;
  readonly token?: string;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** The Worker's variables. A deployment sets them in its wrangler.toml, `serve` by flag or from its environment. */
const VARIABLES: readonly Option[] = [
  variable(
    "EDGELOG_AUTO_CREATE_TOPICS",
    "--auto-create-topics <boolean>",
    "whether producing to an unknown topic creates it",
    booleanText,
  ),
  variable(
    "EDGELOG_NUM_PARTITIONS",
    "--num-partitions <n>",
    "partitions of a topic that does not say",
    integerBetween(1, PARTITIONS_PER_TOPIC_MAX),
  ),
  variable(
    "EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS",
    "--group-initial-rebalance-delay <ms>",
    "how long the first rebalance of an empty group waits for more members",
    between(GROUP_INITIAL_REBALANCE_DELAY_MS),
  ),
  variable(
    "EDGELOG_GROUP_CONSUMER_SESSION_TIMEOUT_MS",
    "--group-consumer-session-timeout <ms>",
    "after how long without a heartbeat a member of KIP-848 is out",
    between(GROUP_SESSION_TIMEOUT_MS),
  ),
  variable(
    "EDGELOG_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS",
    "--group-consumer-heartbeat-interval <ms>",
    "how often a member of KIP-848 is to heartbeat",
    between(CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS),
  ),
  variable(
    "EDGELOG_OFFSETS_RETENTION_MINUTES",
    "--offsets-retention-minutes <n>",
    "how long committed offsets are kept that nobody uses",
    between(OFFSETS_RETENTION_MINUTES),
  ),
  variable(
    "EDGELOG_ADVERTISED_LISTENER",
    "--advertised-listener <host:port>",
    "where Kafka clients are told to connect",
    hostsAndPorts,
  ),
  variable(
    "EDGELOG_ALLOWED_ORIGINS",
    "--allowed-origins <origins>",
    "web origins that may call, separated by commas, or *",
  ),
];

export function addServe(program: Command): void {
  const command = program
    .command("serve")
    .description("run a whole cluster on this machine, durable in --data")
    .option("--host <address>", "address to listen on; beyond loopback a token is needed", "127.0.0.1")
    .option("--port <port>", "HTTP and WebSocket port, 0 for a free one", portNumber, 8787)
    .addOption(
      new Option("--kafka-port <port>", "Kafka port, once per virtual broker (default: 9092)").argParser(
        collect(portNumber),
      ),
    )
    .option("--data <directory>", "where everything is stored", directoryPath, ".edgelog")
    .addOption(new Option("--token <token>", "demand this token of every client").env("EDGELOG_ROOT_TOKEN"));
  for (const option of VARIABLES) command.addOption(option);
  command
    .option("-q, --quiet", "do not pass on what the Worker logs below a warning")
    .option("--json", "print the listeners as JSON")
    .action(serve);
}

function variable(
  name: string,
  flag: string,
  description: string,
  parse?: (text: string) => unknown,
): Option {
  const option = new Option(flag, description).env(name);
  return parse === undefined ? option : option.argParser(parse);
}

function between({ least, most }: { readonly least: number; readonly most: number }) {
  return integerBetween(least, most);
}

async function serve(options: ServeOptions, command: Command): Promise<void> {
  const signal = nextSignal();
  const platform = await startPlatform({
    host: options.host,
    port: options.port,
    kafkaPorts: options.kafkaPort ?? [9092],
    dataDir: options.data,
    ...(options.token ? { rootToken: options.token } : {}),
    vars: workerVars(command),
    quiet: options.quiet ?? false,
  });
  await announce(platform, options);
  await signal;
  await platform.stop();
}

/** The variables that were given, by flag or environment; wrangler.toml has the others. */
function workerVars(command: Command): Record<string, string> {
  const given: Record<string, string> = {};
  for (const option of VARIABLES) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (option.envVar !== undefined && value !== undefined) given[option.envVar] = String(value);
  }
  return given;
}

async function announce(platform: Platform, { data, token, json }: ServeOptions): Promise<void> {
  if (json === true) {
    await printJson({ url: platform.url, kafka: platform.kafkaAddresses });
  } else {
    await printLine(`http   ${platform.url}`);
    for (const address of platform.kafkaAddresses) await printLine(`kafka  ${address}`);
  }
  const access = token ? "clients need the token" : "open to every program on this machine";
  note(`Stored in ${resolve(data)}; ${access}. Ctrl-C stops.`);
}
