import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { type Platform, type PlatformOptions, startPlatform } from "../../src/cli/platform.ts";
import { occupiedPort, temporaryDirectory } from "../cli/edgelog.ts";

const PROBE = fileURLToPath(new URL("./probe-worker.ts", import.meta.url).href);

const running: Platform[] = [];

async function start(options: PlatformOptions): Promise<Platform> {
  const platform = await startPlatform({ port: 0, entry: PROBE, quiet: true, ...options });
  running.push(platform);
  return platform;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((platform) => platform.stop()));
});

async function get(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

function echo(address: string, message: string): Promise<string> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(message));
    socket.setEncoding("utf8");
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(String(data));
    });
  });
}

describe("the platform on this machine", () => {
  test("what a Durable Object stored is there after a stop and a start", async () => {
    await using directory = await temporaryDirectory();
    const first = await start({ dataDir: directory.path });
    expect(await get(first.url)).toBe(1);
    await first.stop();
    const second = await start({ dataDir: directory.path });
    expect(await get(second.url)).toBe(2);
    await second.stop();
  });

  test("it starts where the environment names the launcher of another copy of the package", async () => {
    await using directory = await temporaryDirectory();
    const launcher = join(directory.path, "workerd.sh");
    await writeFile(launcher, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const before = process.env.MINIFLARE_WORKERD_PATH;
    process.env.MINIFLARE_WORKERD_PATH = launcher;
    try {
      const platform = await start({ dataDir: join(directory.path, "data") });
      expect(await get(platform.url)).toBe(1);
      await platform.stop();
    } finally {
      if (before === undefined) delete process.env.MINIFLARE_WORKERD_PATH;
      else process.env.MINIFLARE_WORKERD_PATH = before;
    }
  });

  test("a runtime that an earlier run has left behind is ended, but nobody else who has its pid now", async () => {
    await using directory = await temporaryDirectory();
    const pidFile = join(directory.path, "workerd.pid");
    for (const [env, signal] of [
      [{ EDGELOG_WORKERD_PID_FILE: pidFile }, "SIGKILL"],
      [{ EDGELOG_WORKERD_PID_FILE: join(directory.path, "other/workerd.pid") }, null],
    ] as const) {
      const process = spawn("sleep", ["600"], { env });
      try {
        await writeFile(pidFile, `${process.pid}\n`);
        const platform = await start({ dataDir: directory.path });
        await platform.stop();
        expect(process.signalCode).toBe(signal);
      } finally {
        process.kill("SIGKILL");
      }
    }
  });

  test("every Kafka port leads to the Worker's connect handler", async () => {
    await using directory = await temporaryDirectory();
    const platform = await start({ dataDir: directory.path, kafkaPorts: [0, 0] });
    expect(platform.kafkaAddresses).toHaveLength(2);
    expect(new Set(platform.kafkaAddresses).size).toBe(2);
    for (const address of platform.kafkaAddresses) expect(await echo(address, "ping")).toBe("ping");
    const ports = platform.kafkaAddresses.map((address) => address.split(":")[1]);
    expect(await get(`${platform.url}/vars`)).toMatchObject({ EDGELOG_KAFKA_PORTS: ports.join() });
    await platform.stop();
  });

  test("without a token it is open, and the variables of wrangler.toml give way to those it is started with", async () => {
    await using directory = await temporaryDirectory();
    const platform = await start({ dataDir: directory.path, vars: { EDGELOG_NUM_PARTITIONS: "7" } });
    expect(await get(`${platform.url}/vars`)).toMatchObject({
      EDGELOG_OPEN: "true",
      EDGELOG_NUM_PARTITIONS: "7",
    });
    await platform.stop();
  });

  test("with a token it is not open", async () => {
    await using directory = await temporaryDirectory();
    const platform = await start({ dataDir: directory.path, rootToken: "secret" });
    const vars = await get(`${platform.url}/vars`);
    expect(vars).toMatchObject({ EDGELOG_ROOT_TOKEN: "secret" });
    expect(vars).not.toHaveProperty("EDGELOG_OPEN");
    await platform.stop();
  });

  test("a variable cannot open a platform that has a token", async () => {
    await using directory = await temporaryDirectory();
    const vars = { EDGELOG_OPEN: "true", EDGELOG_ROOT_TOKEN: "other" };
    const platform = await start({ dataDir: directory.path, rootToken: "secret", vars });
    const seen = await get(`${platform.url}/vars`);
    expect(seen).toMatchObject({ EDGELOG_ROOT_TOKEN: "secret" });
    expect(seen).not.toHaveProperty("EDGELOG_OPEN");
    await platform.stop();
  });

  test.each(["0.0.0.0", "::", "192.0.2.1", "example.com"])("on %s it demands a token", async (host) => {
    await using directory = await temporaryDirectory();
    await expect(start({ dataDir: directory.path, host })).rejects.toThrow(/--token .*EDGELOG_ROOT_TOKEN/);
  });

  test("a data directory serves one platform at a time", async () => {
    await using directory = await temporaryDirectory();
    const first = await start({ dataDir: directory.path });
    await expect(start({ dataDir: directory.path })).rejects.toThrow(/in use by another edgelog serve/);
    expect(await get(first.url)).toBe(1);
    await first.stop();
  });

  test("a port that is taken is named, and the data directory stays free", async () => {
    await using directory = await temporaryDirectory();
    await using occupied = await occupiedPort();
    const { port } = occupied;
    await expect(start({ dataDir: directory.path, port })).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${port}: the port is in use`,
    );
    const platform = await start({ dataDir: directory.path });
    expect(await get(platform.url)).toBe(1);
    await platform.stop();
  });

  test("an error in the Worker is a bare 500: nothing of its source is shown to a client", async () => {
    await using directory = await temporaryDirectory();
    const platform = await start({ dataDir: directory.path });
    const response = await fetch(`${platform.url}/throw`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("probe");
    await platform.stop();
  });
});
