/** The clients whose groups are shaken, and how a member of each is started. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { browserMembers } from "./browser-members.ts";
import type { Allowances } from "./check.ts";
import type { MemberTarget, StartMember } from "./member.ts";
import { MemberProcess } from "./member-process.ts";

export interface ChurnClient {
  readonly name: string;
  /** What its members are told to speak. */
  readonly protocol: string;
  readonly allowances: Allowances;
  /** Why it cannot be run here. */
  missing(): string | undefined;
  /** Makes what its members need in `directory`, and returns how one is started. */
  prepare(directory: string, target: MemberTarget): Promise<StartMember>;
}

const MEMBERS = fileURLToPath(new URL("./members/", import.meta.url).href);
const run = promisify(execFile);

export const CLIENTS: readonly ChurnClient[] = [
  node("kafkajs", "classic", "kafkajs.ts"),
  // Whenever its assignment changes it begins again at the committed offsets, in front of what it had fetched by then.
  node("platformatic-classic", "classic", "platformatic.ts", { rewinds: true, deliversLate: true }),
  node("platformatic-consumer", "consumer", "platformatic.ts", { rewinds: true, deliversLate: true }),
  librdkafka("librdkafka-eager", "eager"),
  librdkafka("librdkafka-cooperative", "cooperative"),
  librdkafka("librdkafka-consumer", "consumer"),
  java("java-cooperative", "cooperative"),
  java("java-consumer", "consumer"),
  node("sdk-node", "native", "sdk.ts"),
  browser("sdk-browser", "native"),
];

function node(name: string, protocol: string, file: string, allowances: Allowances = {}): ChurnClient {
  return {
    name,
    protocol,
    allowances,
    missing: () => undefined,
    prepare: async (_, target) => processes(process.execPath, [join(MEMBERS, file), ...argumentsOf(target)]),
  };
}

function librdkafka(name: string, protocol: string): ChurnClient {
  const { EDGELOG_CHURN_LIBRDKAFKA: library, EDGELOG_CHURN_LIBRDKAFKA_NODE: command = process.execPath } =
    process.env;
  return {
    name,
    protocol,
    // Its binding hears of a rebalance while records of before are on their way from another thread.
    allowances: { rewinds: true },
    missing: () =>
      library !== undefined && existsSync(library)
        ? undefined
        : "EDGELOG_CHURN_LIBRDKAFKA does not name a directory with @confluentinc/kafka-javascript (and EDGELOG_CHURN_LIBRDKAFKA_NODE the node that it was built for, if that is another)",
    async prepare(directory, target) {
      // As JavaScript: the library may have been built for a node that knows no TypeScript.
      const outfile = join(directory, "librdkafka.mjs");
      const entryPoints = [join(MEMBERS, "librdkafka.ts")];
      await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm" });
      return processes(command, [outfile, ...argumentsOf(target)]);
    },
  };
}

function java(name: string, protocol: string): ChurnClient {
  const classpath = process.env.EDGELOG_CHURN_KAFKA_CLASSPATH;
  return {
    name,
    protocol,
    allowances: {},
    missing: () =>
      classpath === undefined || classpath === ""
        ? "EDGELOG_CHURN_KAFKA_CLASSPATH is no class path with kafka-clients 4.x and slf4j-api"
        : undefined,
    async prepare(directory, target) {
      const libraries = classpath ?? "";
      await run("javac", ["-cp", libraries, "-d", directory, join(MEMBERS, "JavaMember.java")]);
      const options = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
      const classes = [directory, libraries].join(delimiter);
      return processes("java", [...options, "-cp", classes, "JavaMember", ...argumentsOf(target)]);
    },
  };
}

function browser(name: string, protocol: string): ChurnClient {
  const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
  return {
    name,
    protocol,
    allowances: {},
    missing: () =>
      existsSync(executablePath)
        ? undefined
        : `there is no browser at ${executablePath}; CHROMIUM_PATH names one`,
    prepare: (directory, target) =>
      browserMembers(directory, { executablePath, entryPoint: join(MEMBERS, "sdk-page.ts"), target }),
  };
}

function argumentsOf({ bootstrap, topic, group, protocol, url }: MemberTarget): string[] {
  return [bootstrap, topic, group, protocol, url];
}

function processes(command: string, args: readonly string[]): StartMember {
  return (name, path) => new MemberProcess(name, path, { command, args });
}
