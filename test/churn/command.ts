/** The command that shakes one client after another and says what came of it, whatever it has them do. */

import { parseArgs } from "node:util";

/** What is asked of a run, beside what is particular to it. */
export interface ShakenRun<Client> {
  readonly client: Client;
  readonly seed: number;
  readonly ms: number;
  readonly records: number;
  /** Processes at a time. */
  readonly members: number;
  readonly partitions: number;
  readonly platformKills: number;
  /** Of other brokers than a platform of the run's own. */
  readonly bootstrap?: string;
  /** What was written down is not deleted. */
  readonly keep: boolean;
  readonly onProgress: (line: string) => void;
}

interface Report {
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly directory: string;
}

interface Command<Client> {
  readonly clients: readonly Client[];
  /** Options as given on the command line where that says nothing; `crowd` is the name of the option for `members`. */
  readonly defaults: {
    readonly minutes: string;
    readonly records: string;
    readonly crowd: { readonly name: string; readonly count: string };
    readonly partitions: string;
  };
  run(options: ShakenRun<Client>): Promise<Report>;
}

/** Ends the process: exit code 1 on a violation, 2 if nothing could be run. */
export async function shakeClients<
  Client extends { readonly name: string; readonly missing: () => string | undefined },
>({ clients, defaults, run }: Command<Client>): Promise<never> {
  const { minutes, records, crowd, partitions } = defaults;
  const { values } = parseArgs({
    options: {
      client: { type: "string", default: "all" },
      minutes: { type: "string", default: minutes },
      records: { type: "string", default: records },
      [crowd.name]: { type: "string", default: crowd.count },
      partitions: { type: "string", default: partitions },
      "kill-platform": { type: "string", default: "0" },
      seed: { type: "string" },
      bootstrap: { type: "string" },
      keep: { type: "boolean", default: false },
    },
  });
  const text = (option: string) => String(values[option as keyof typeof values] ?? "");
  const seed = number("seed", values.seed ?? String(Date.now() % 2 ** 31));
  const name = text("client");
  const asked = name === "all" ? clients : clients.filter((client) => client.name === name);
  if (asked.length === 0) {
    console.error(`--client takes all or one of ${clients.map((client) => client.name).join(", ")}`);
    process.exit(2);
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

  let runs = 0;
  let isClean = true;
  for (const client of asked) {
    const missing = client.missing();
    if (missing !== undefined) {
      console.log(`SKIPPED ${client.name}: ${missing}`);
      continue;
    }
    runs++;
    console.log(`\n${client.name}, seed ${seed}`);
    const begunMs = performance.now();
    const { violations, counts, directory } = await run({
      client,
      seed,
      ms: number("minutes", text("minutes")) * 60_000,
      records: number("records", text("records")),
      members: number(crowd.name, text(crowd.name)),
      partitions: number("partitions", text("partitions")),
      platformKills: number("kill-platform", text("kill-platform")),
      ...(values.bootstrap !== undefined && { bootstrap: text("bootstrap") }),
      keep: values.keep === true,
      onProgress: (line) => console.log(`  ${seconds(begunMs)} s  ${line}`),
    });
    console.log(`${client.name}: ${seconds(begunMs)} s, seed ${seed}`);
    for (const [what, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
      console.log(`  ${what.padEnd(56)} ${String(count).padStart(9)}`);
    }
    for (const [violation, ...alike] of byKind(violations)) {
      console.log(`VIOLATION ${violation}${alike.length > 0 ? ` (and ${alike.length} alike)` : ""}`);
    }
    if (values.keep === true) console.log(`kept in ${directory}`);
    console.log(`${violations.length} violations`);
    isClean &&= violations.length === 0;
  }
  return process.exit(runs === 0 ? 2 : isClean ? 0 : 1);
}

/** Those that differ in nothing but numbers together. */
function byKind(violations: readonly string[]): Iterable<string[]> {
  return Map.groupBy(violations, (violation) => violation.replaceAll(/\d+/g, "")).values();
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(0);
}

function number(option: string, text: unknown): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${option} takes a number, not ${JSON.stringify(text)}`);
  return process.exit(2);
}
