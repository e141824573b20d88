import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly workerd: string;
  readonly miniflare: string;
  /** Of the minute before: what else was going on. */
  readonly loadAverage: number;
}

const BUSY = " (a busy machine: only ratios and counts mean something)";

export function thisMachine(): Machine {
  return {
    cpu: cpuModel(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    workerd: versionOf("workerd"),
    miniflare: versionOf("miniflare"),
    loadAverage: loadavg()[0] ?? 0,
  };
}

export function machineText(machine: Machine): string {
  const { cpu, cores, memoryGiB, system, node, workerd, miniflare, loadAverage } = machine;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}; Node ${node}, workerd ${workerd}, miniflare ${miniflare}; load average ${loadAverage.toFixed(1)} at the start${loadAverage > cores / 2 ? BUSY : ""}`;
}

function cpuModel(): string {
  const [first] = cpus();
  const name = first?.model.trim() ?? "unknown CPU";
  // Virtual machines often keep the name to themselves; family and model tell which it is.
  try {
    const info = readFileSync("/proc/cpuinfo", "utf8");
    const model = /^model\s*:\s*(\d+)$/m.exec(info)?.[1];
    const family = /^cpu family\s*:\s*(\d+)$/m.exec(info)?.[1];
    return model === undefined ? name : `${name} (family ${family}, model ${model})`;
  } catch {
    return name;
  }
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  const from = name === "workerd" ? createRequire(require.resolve("miniflare")) : require;
  const { version } = from(`${name}/package.json`);
  return String(version);
}
