import { execFileSync, spawnSync } from "node:child_process";
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { serve, temporaryDirectory } from "./edgelog.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url).href);

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(join(ROOT, file), "utf8"));
}

/** The files that would be published, with the package's dependencies and nothing else, as if it had been installed. */
async function install(directory: string): Promise<string> {
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
  const modules = join(directory, "node_modules");
  const files: { path: string }[] = packed.files;
  for (const { path } of files) await cp(join(ROOT, path), join(modules, "edgelog", path));
  const { dependencies } = await readJson<Manifest>("package.json");
  for (const name of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, "node_modules", name), join(modules, name));
  }
  return join(modules, "edgelog");
}

describe("the published package", () => {
  beforeAll(() => {
    execFileSync(process.execPath, ["scripts/build.ts"], { cwd: ROOT, stdio: "ignore" });
  });

  test("its command talks to a cluster without wrangler, and serve says what to install", async () => {
    await using directory = await temporaryDirectory();
    const bin = join(await install(directory.path), "bin/edgelog.js");
    const run = (args: readonly string[], input = "", env = {}) =>
      spawnSync(process.execPath, [bin, ...args], {
        encoding: "utf8",
        input,
        env: { ...process.env, ...env },
      });
    const served = await serve(join(directory.path, "data"));
    try {
      expect(run(["produce", "events"], "one\ntwo\n", served.env)).toMatchObject({ status: 0 });
      expect(run(["consume", "events", "-e"], "", served.env)).toMatchObject({
        status: 0,
        stdout: "one\ntwo\n",
      });
    } finally {
      served.process.kill();
    }
    const refused = run([
      "serve",
      "--port",
      "0",
      "--kafka-port",
      "0",
      "--data",
      join(directory.path, "other"),
    ]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toContain("npm install wrangler@");
  });

  test("its SDK is one module without imports, as a web page needs it", async () => {
    await using directory = await temporaryDirectory();
    await cp(join(ROOT, "dist/client/index.js"), join(directory.path, "edgelog.mjs"));
    const run = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", IMPORT.replace('"edgelog"', '"./edgelog.mjs"')],
      { cwd: directory.path, encoding: "utf8" },
    );
    expect(run).toMatchObject({ status: 0, stdout: "EdgelogError NETWORK_EXCEPTION\n", stderr: "" });
  });

  test("its SDK imports by name, and its types stand on their own", async () => {
    await using directory = await temporaryDirectory();
    await install(directory.path);
    await writeFile(join(directory.path, "user.mts"), USER);
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", IMPORT], {
      cwd: directory.path,
      encoding: "utf8",
    });
    expect(run).toMatchObject({ status: 0, stdout: "EdgelogError NETWORK_EXCEPTION\n", stderr: "" });
    for (const module of ["nodenext", "preserve"]) {
      const flags = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", ""];
      const tsc = spawnSync(join(ROOT, "node_modules/.bin/tsc"), [...flags, "--module", module, "user.mts"], {
        cwd: directory.path,
        encoding: "utf8",
      });
      expect(tsc).toMatchObject({ status: 0, stdout: "" });
    }
  });
});

/** A program of someone who has installed the package, compiled with their settings. */
const USER = `
  import { type ConsumedRecord, Edgelog, EdgelogError } from "edgelog";

  const client = new Edgelog({ url: "http://127.0.0.1:8787" });
  const producer = client.producer({ topic: "orders", lingerMs: 1 });
  const { offset }: { offset: number } = await producer.send({ key: "alice", value: new Uint8Array(1) });
  try {
    for await (const record of client.consume("orders", { from: "earliest", follow: false })) {
      const consumed: ConsumedRecord = record;
      console.log(offset, consumed.text());
    }
  } catch (error) {
    if (error instanceof EdgelogError && error.code === "UNKNOWN_TOPIC_OR_PARTITION") console.error(error.message);
  }
`;

const IMPORT = `
  import { Edgelog } from "edgelog";
  const client = new Edgelog({ url: "http://127.0.0.1:1", requestTimeoutMs: 50 });
  await client.topics.describe("x").catch((error) => console.log(error.constructor.name, error.code));
`;

describe("the lockfile", () => {
  test("locks the packages of every platform, so that npm ci works on all of them", async () => {
    const { packages } = await readJson<Lock>("package-lock.json");
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isLocked(packages, path, name)),
    );
    expect(missing).toEqual([]);
  });

  test("names no registry", async () => {
    const { packages } = await readJson<Lock>("package-lock.json");
    expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
  });
});

/** Node's way of looking: beside the package, then further and further out. */
function isLocked(packages: Lock["packages"], from: string, name: string): boolean {
  if (packages[`${from === "" ? "" : `${from}/`}node_modules/${name}`]?.version !== undefined) return true;
  if (from === "") return false;
  const outer = from.lastIndexOf("/node_modules/");
  return isLocked(packages, outer === -1 ? "" : from.slice(0, outer), name);
}
