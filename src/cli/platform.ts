/**
 * The whole platform on this machine: the Worker, its Durable Objects and its R2 bucket in workerd, driven by
 * miniflare's own API (without wrangler dev's proxies and inspector it runs as fast as bare workerd).
 */

import { chmod } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Miniflare } from "miniflare";
import { bundleWorker, PACKAGE_ROOT } from "./bundle.ts";
import { type DataDir, lockDataDir, RUNTIME_PID_FILE_VARIABLE } from "./data-dir.ts";
import { CliError, UsageError } from "./errors.ts";
import { loadRuntime } from "./peers.ts";
import { onFreePorts } from "./ports.ts";
import { withoutSignalHandlers } from "./signals.ts";

export interface PlatformOptions {
  /** Address to listen on. Anything but loopback demands a `rootToken`. Default 127.0.0.1 */
  readonly host?: string;
  /** HTTP port; 0 takes a free one. Default 8787 */
  readonly port?: number;
  /** One TCP port per virtual broker; 0 takes a free one. Default: none */
  readonly kafkaPorts?: readonly number[];
  /** Where everything is stored. One platform per directory. */
  readonly dataDir: string;
  /** With it every request needs this token; without it the platform is open (loopback only). */
  readonly rootToken?: string;
  /** Variables of the Worker, over those in wrangler.toml. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Drop what the Worker logs below a warning. */
  readonly quiet?: boolean;
  /** Another Worker's source, for tests. */
  readonly entry?: string;
}

export interface Platform {
  /** `http://host:port` */
  readonly url: string;
  /** `host:port`, one per Kafka port. */
  readonly kafkaAddresses: readonly string[];
  /** Ends workerd and gives the data directory free. */
  stop(): Promise<void>;
}

/**
 * Starts the platform and resolves when every listener accepts connections.
 *
 * @throws {UsageError} a host beyond loopback without a token
 * @throws {CliError} a port or the data directory is in use, or a package is missing
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { host = "127.0.0.1", port = 8787, kafkaPorts = [], rootToken } = options;
  if (rootToken === undefined && !isLoopback(host)) throw tokenNeeded(host);
  const code = await bundleWorker(options.entry);
  const dataDir = await lockDataDir(options.dataDir);
  try {
    const { runtime, httpPort, tcpPorts } = await onFreePorts(host, [port, ...kafkaPorts], async (ports) => {
      const [httpPort = port, ...tcpPorts] = ports;
      const vars = { ...options.vars, ...virtualBrokers(tcpPorts) };
      const listeners = { host, httpPort, tcpPorts };
      const quiet = options.quiet ?? false;
      const runtime = await startRuntime({
        code,
        vars,
        access: access(rootToken),
        dataDir,
        listeners,
        quiet,
      });
      return { runtime, httpPort, tcpPorts };
    });
    let stopped: Promise<void> | undefined;
    const stop = (): Promise<void> => {
      stopped ??= runtime.dispose().finally(() => dataDir.release());
      return stopped;
    };
    const hostInUrl = host.includes(":") ? `[${host}]` : host;
    return {
      url: `http://${hostInUrl}:${httpPort}`,
      kafkaAddresses: tcpPorts.map((tcpPort) => `${hostInUrl}:${tcpPort}`),
      stop,
    };
  } catch (error) {
    await dataDir.release();
    throw error;
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function tokenNeeded(host: string): UsageError {
  return new UsageError(
    `On ${host} others can reach this cluster, so it needs a token: ` +
      "pass --token <token> or set EDGELOG_ROOT_TOKEN (or listen on 127.0.0.1).",
  );
}

function access(rootToken: string | undefined): Record<string, string> {
  return rootToken === undefined ? { EDGELOG_OPEN: "true" } : { EDGELOG_ROOT_TOKEN: rootToken };
}

/** Who gets in is decided by the token and the address alone, whatever wrangler.toml or a .dev.vars says. */
function withoutAccess(vars: Readonly<Record<string, string>>): Record<string, string> {
  const { EDGELOG_OPEN: _open, EDGELOG_ROOT_TOKEN: _token, ...others } = vars;
  return others;
}

/** Several Kafka ports are as many brokers; each must be able to tell of the others. */
function virtualBrokers(tcpPorts: readonly number[]): Record<string, string> {
  return tcpPorts.length > 1 ? { EDGELOG_KAFKA_PORTS: tcpPorts.join(",") } : {};
}

/**
 * R2 on this machine is a Worker that makes thousands of small objects for every megabyte, and V8 sees no reason to
 * collect them before they are a hundred megabytes. A small young generation and early collections halve the resident
 * memory; moving batches costs the same, JSON about a fifth more CPU time (bench/memory.ts).
 */
const V8_FLAGS = [
  "--max-semi-space-size=1",
  "--min-semi-space-size=1",
  "--initial-heap-size=8",
  "--memory-balancer",
  "--memory-balancer-c-value=1e-9",
].join(" ");

interface RuntimeParts {
  readonly code: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly access: Readonly<Record<string, string>>;
  readonly dataDir: DataDir;
  readonly listeners: {
    readonly host: string;
    readonly httpPort: number;
    readonly tcpPorts: readonly number[];
  };
  readonly quiet: boolean;
}

async function startRuntime(parts: RuntimeParts): Promise<Miniflare> {
  const { wrangler, miniflare, workerdPath } = await loadRuntime();
  const { Miniflare, NoOpLog, convertV4MiniflareOptions } = miniflare;
  const { workerOptions } = wrangler.unstable_getMiniflareWorkerOptions(join(PACKAGE_ROOT, "wrangler.toml"));
  const { host, httpPort, tcpPorts } = parts.listeners;
  // miniflare takes them from nowhere else.
  process.env.MINIFLARE_WORKERD_V8_FLAGS ??= V8_FLAGS;
  const options = convertV4MiniflareOptions({
    // The port of miniflare's own entry Worker; ours is reached without that detour.
    host: "127.0.0.1",
    port: 0,
    log: new NoOpLog(),
    handleStructuredLogs: (entry) => logEntry(entry, parts.quiet),
    cf: false,
    telemetry: { enabled: false },
    unsafeObservability: false,
    unsafeLocalExplorer: false,
    resourcePersistencePath: parts.dataDir.path,
    unsafeRuntimeEnv: await dieWithParent(parts.dataDir, workerdPath),
    workers: [
      {
        ...workerOptions,
        name: "edgelog",
        modules: [{ type: "ESModule", path: join(PACKAGE_ROOT, "worker.js"), contents: parts.code }],
        modulesRoot: PACKAGE_ROOT,
        bindings: {
          ...withoutAccess({ ...declaredVars(workerOptions.bindings), ...parts.vars }),
          ...parts.access,
        },
        unsafeDirectSockets: [{ host, port: httpPort }],
        connectHandlers: tcpPorts.map((port) => ({ protocol: "tcp", port, address: host })),
      },
    ],
  });
  const runtime = withTemporaryFilesIn(parts.dataDir.temporary, () =>
    withoutSignalHandlers(() => new Miniflare(options)),
  );
  try {
    await runtime.ready;
    return runtime;
  } catch (error) {
    await runtime.dispose().catch(() => undefined);
    throw startFailure(error);
  }
}

/** miniflare makes a directory in the system's, which stays behind when it is killed; in ours it is cleared by the next start. */
function withTemporaryFilesIn<T>(directory: string, run: () => T): T {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = directory;
  try {
    return run();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

/** The `[vars]` of wrangler.toml, which wrangler hands over untyped. */
function declaredVars(bindings: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(bindings ?? {}).map(([name, value]) => [name, String(value)]));
}

/** What workerd only notes. */
const HARMLESS = [
  // It runs such an alarm; two of its clocks for it differed.
  "NOSENTRY SQLite alarm overdue, running despite AlarmManager mismatch",
  // V8_FLAGS are not those that it was built with.
  "NOSENTRY per-isolate bootstrap compile cache failed its compatibility check",
];

/** What the Worker and workerd print belongs on stderr: stdout is for data. */
function logEntry({ level, message }: { level: string; message: string }, quiet: boolean): void {
  if (quiet && level !== "error" && level !== "warn") return;
  if (HARMLESS.some((remark) => message.startsWith(remark))) return;
  process.stderr.write(`${message}\n`);
}

const LAUNCHER = "workerd.sh";

/** miniflare leaves workerd running when it is itself killed; a launcher in between sees to it that it ends. */
async function dieWithParent(dataDir: DataDir, workerdPath: string): Promise<Record<string, string>> {
  if (process.platform === "win32") return {};
  const launcher = fileURLToPath(new URL(`./${LAUNCHER}`, import.meta.url).href);
  await chmod(launcher, 0o755).catch(() => undefined);
  const configured = process.env.MINIFLARE_WORKERD_PATH;
  // A launcher that was set here, by another copy of this module, or by the process that started this one, is no workerd:
  // it would start itself without end.
  const isOther = configured !== undefined && basename(configured) !== LAUNCHER;
  const workerd = isOther ? configured : workerdPath;
  process.env.MINIFLARE_WORKERD_PATH = launcher;
  return { EDGELOG_WORKERD: workerd, [RUNTIME_PID_FILE_VARIABLE]: dataDir.runtimePidFile };
}

function startFailure(error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  return new CliError(`The platform did not start: ${message}`, { cause: error });
}
