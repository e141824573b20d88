/** The examples in docs/sdk.md, as they stand there. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { useCluster } from "./cluster.ts";

const ROOT = join(import.meta.dirname, "../..");
const page = await readFile(join(ROOT, "docs/sdk.md"), "utf8");
const examples = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);

const cluster = useCluster();
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "edgelog-docs-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("there are examples", () => {
  expect(examples.length).toBeGreaterThan(4);
});

test.each(examples.map((code, index) => [index + 1, code]))("example %i runs", async (index, code) => {
  const file = join(directory, `${index}.mjs`);
  const { outputFiles } = await build({
    stdin: {
      contents: String(code).replaceAll("http://127.0.0.1:8787", cluster.url),
      loader: "ts",
      resolveDir: ROOT,
    },
    alias: { edgelog: join(ROOT, "src/client/index.ts") },
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    write: false,
  });
  await writeFile(file, outputFiles[0]?.text ?? "");
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    await import(/* @vite-ignore */ file);
    expect(log, "an example shows what comes out").toHaveBeenCalled();
  } finally {
    log.mockRestore();
  }
});
