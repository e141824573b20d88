import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  edgelog,
  end,
  exit,
  isRunning,
  occupiedPort,
  type Served,
  serve,
  temporaryDirectory,
  until,
} from "./edgelog.ts";

const running: Served[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((served) => end(served.process, "SIGKILL")));
});

async function start(
  dataDir: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const served = await serve(dataDir, args, env);
  running.push(served);
  return served;
}

async function workerdPid(dataDir: string): Promise<number> {
  return Number(await readFile(join(dataDir, "workerd.pid"), "utf8"));
}

describe("edgelog serve", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "%s ends it and workerd, with exit code 0",
    async (signal) => {
      await using directory = await temporaryDirectory();
      const served = await start(directory.path);
      const workerd = await workerdPid(directory.path);
      expect(await isRunning(workerd)).toBe(true);
      expect(await end(served.process, signal)).toBe(0);
      expect(await isRunning(workerd)).toBe(false);
    },
  );

  test("npm start ends it when npm is told to end", async () => {
    await using directory = await temporaryDirectory();
    const args = ["start", "--silent", "--", "--port", "0", "--kafka-port", "0", "--data", directory.path];
    const npm = spawn("npm", args, {
      cwd: join(import.meta.dirname, "../.."),
      stdio: ["ignore", "pipe", "ignore"],
    });
    await once(npm.stdout, "data");
    const workerd = await workerdPid(directory.path);
    expect(await end(npm)).toBe(0);
    expect(await isRunning(workerd)).toBe(false);
  });

  test("what was acknowledged survives SIGKILL, and workerd does not survive its parent", async () => {
    await using directory = await temporaryDirectory();
    const first = await start(directory.path);
    const workerd = await workerdPid(directory.path);
    const produced = await edgelog(["produce", "events"], { input: "one\ntwo\n", env: first.env });
    expect(produced).toMatchObject({ exitCode: 0 });
    await end(first.process, "SIGKILL");
    const second = await start(directory.path);
    expect(await isRunning(workerd)).toBe(false);
    const consumed = await edgelog(["consume", "events", "-e"], { env: second.env });
    expect(consumed).toMatchObject({ exitCode: 0, stdout: "one\ntwo\n" });
  });

  test("nothing is left behind in the system's directory for temporary files, even by SIGKILL", async () => {
    await using directory = await temporaryDirectory();
    await using temporary = await temporaryDirectory();
    const served = await start(directory.path, [], { TMPDIR: temporary.path });
    await end(served.process, "SIGKILL");
    expect(await readdir(temporary.path)).toEqual([]);
  });

  test("workerd ends by itself when its parent is killed", async () => {
    await using directory = await temporaryDirectory();
    const served = await start(directory.path);
    const workerd = await workerdPid(directory.path);
    await end(served.process, "SIGKILL");
    await until(async () => !(await isRunning(workerd)));
  });

  test("workerd ends by itself even if its directory was deleted before", async () => {
    await using directory = await temporaryDirectory();
    const served = await start(directory.path);
    const workerd = await workerdPid(directory.path);
    await rm(directory.path, { recursive: true, maxRetries: 5 });
    await end(served.process, "SIGKILL");
    await until(async () => !(await isRunning(workerd)));
  });

  test("when workerd dies it comes back on the same port, with what it had acknowledged", async () => {
    await using directory = await temporaryDirectory();
    const served = await start(directory.path);
    await edgelog(["produce", "events"], { input: "one\n", env: served.env });
    const workerd = await workerdPid(directory.path);
    process.kill(workerd, "SIGKILL");
    await until(async () => (await workerdPid(directory.path)) !== workerd);
    await until(() =>
      fetch(`${served.url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const consumed = await edgelog(["consume", "events", "-e"], { env: served.env });
    expect(consumed).toMatchObject({ exitCode: 0, stdout: "one\n" });
  });

  test("a second one on the same data directory is refused", async () => {
    await using directory = await temporaryDirectory();
    const first = await start(directory.path);
    const second = await edgelog(["serve", "--port", "0", "--kafka-port", "0", "--data", directory.path]);
    expect(second).toMatchObject({ exitCode: 1, stdout: "" });
    expect(second.stderr).toContain(`in use by another edgelog serve (process ${first.process.pid})`);
  });

  test("a port in use is an error that names it", async () => {
    await using directory = await temporaryDirectory();
    await using occupied = await occupiedPort();
    const result = await edgelog(["serve", "--port", String(occupied.port), "--data", directory.path]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain(`127.0.0.1:${occupied.port}: the port is in use`);
    expect(result.stderr).toContain("choose another with --port");
  });

  test("a Kafka port in use is an error that names it", async () => {
    await using directory = await temporaryDirectory();
    await using occupied = await occupiedPort();
    const ports = ["--port", "0", "--kafka-port", "0", "--kafka-port", String(occupied.port)];
    const result = await edgelog(["serve", ...ports, "--data", directory.path]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain(`127.0.0.1:${occupied.port}: the port is in use`);
    expect(result.stderr).toContain("choose another with --kafka-port");
  });

  test("an empty --data is refused: it does not mean the working directory", async () => {
    const result = await edgelog(["serve", "--port", "0", "--kafka-port", "0", "--data", ""]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("Give the path of a directory");
  });

  test("a file in the place of the data directory is an error that names it", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "file");
    await writeFile(file, "");
    const result = await edgelog(["serve", "--port", "0", "--kafka-port", "0", "--data", file]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain(`${file} cannot be made`);
    expect(result.stderr).toContain("--data");
  });

  test.each(["/proc/edgelog", "/proc/edgelog/data"])(
    "a data directory where the system takes none, %s, is an error that names it",
    async (path) => {
      const result = await edgelog(["serve", "--port", "0", "--kafka-port", "0", "--data", path]);
      expect(result).toMatchObject({ exitCode: 1, stdout: "" });
      expect(result.stderr).toContain(`${path} cannot be made`);
      expect(result.stderr).toContain("--data");
    },
  );

  test("beyond loopback it demands a token before it opens anything", async () => {
    await using directory = await temporaryDirectory();
    const result = await edgelog(["serve", "--host", "0.0.0.0", "--port", "0", "--data", directory.path]);
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("--token <token>");
  });

  test("with a token only those who have it get in", async () => {
    await using directory = await temporaryDirectory();
    const { env } = await start(directory.path, ["--token", "secret"]);
    const without = await edgelog(["topic", "list"], { env });
    expect(without).toMatchObject({ exitCode: 1, stdout: "" });
    expect(without.stderr).toContain("EDGELOG_TOKEN");
    const withToken = await edgelog(["topic", "list"], { env: { ...env, EDGELOG_TOKEN: "secret" } });
    expect(withToken).toMatchObject({ exitCode: 0, stdout: "" });
  });

  test("takes the Worker's variables from its environment, and rather by flag", async () => {
    await using directory = await temporaryDirectory();
    const variables = { EDGELOG_AUTO_CREATE_TOPICS: "false", EDGELOG_NUM_PARTITIONS: "3" };
    const { url, env } = await start(directory.path, ["--num-partitions", "2"], variables);
    const unknown = await edgelog(["produce", "unknown"], { input: "x\n", env });
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('no topic "unknown"') });
    await edgelog(["topic", "create", "known"], { env });
    const topic = await fetch(`${url}/v1/topics/known`);
    expect(await topic.json()).toMatchObject({ partitions: 2 });
  });

  test("refuses a variable that cannot be, by its name", async () => {
    const result = await edgelog(["serve"], { env: { EDGELOG_ADVERTISED_LISTENER: "kafka:9092,broker" } });
    expect(result).toMatchObject({ exitCode: 2, stdout: "" });
    expect(result.stderr).toContain("EDGELOG_ADVERTISED_LISTENER");
    expect(result.stderr).toContain("Give it as host:port");
  });

  test("a command that is given the Kafka port says what is wrong with it", async () => {
    await using directory = await temporaryDirectory();
    const served = await start(directory.path, ["--json"]);
    const [kafka] = JSON.parse(served.url).kafka;
    const result = await edgelog(["topic", "list", "--url", `http://${kafka}`]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toContain("as a Kafka port does");
  });

  test("--json prints the listeners as one JSON line", async () => {
    await using directory = await temporaryDirectory();
    const served = await start(directory.path, ["--json"]);
    expect(JSON.parse(served.url)).toMatchObject({
      url: expect.stringMatching(/^http:/),
      kafka: expect.any(Array),
    });
    expect(await end(served.process)).toBe(0);
    expect(await exit(served.process)).toBe(0);
  });
});
