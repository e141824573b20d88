import { join } from "node:path";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { beforeAll, expect, test } from "vitest";
import { decodeBatch } from "../../src/log/batch.ts";
import { clientFixtures, readFixture } from "./expected-records.ts";

/** A realm with what every browser has, and nothing of Node. */
const browser = createContext({ TextEncoder, TextDecoder });

beforeAll(async () => {
  const entry = `
    export { decodeBatch, encodeBatch } from "./batch.ts";
    export { canCompress } from "./compression.ts";`;
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: join(import.meta.dirname, "../../src/log"), loader: "ts" },
    bundle: true,
    platform: "browser",
    format: "iife",
    globalName: "log",
    minify: true,
    write: false,
  });
  const [bundle] = outputFiles;
  expect(bundle?.contents.length).toBeLessThan(64 * 1024);
  runInContext(bundle?.text ?? "", browser);
});

test("a browser reads what every client sends in every codec, as Node does", () => {
  for (const { file } of clientFixtures()) {
    const batch = readFixture(file);
    Object.assign(browser, { input: JSON.stringify([...batch]) });
    const records = runInContext(
      "JSON.stringify([...log.decodeBatch(new Uint8Array(JSON.parse(input)))])",
      browser,
    );
    expect(JSON.parse(records), file).toEqual(JSON.parse(JSON.stringify([...decodeBatch(batch)])));
  }
});

test("a browser writes gzip but not zstd, and says so", () => {
  expect(runInContext(`["gzip", "zstd"].map(log.canCompress).join()`, browser)).toBe("true,false");
  const write = (codec: string) =>
    runInContext(
      `[...log.decodeBatch(log.encodeBatch([{ timestamp: 5, key: null, value: new Uint8Array(99) }], { compression: "${codec}" }))].length`,
      browser,
    );
  expect(write("gzip")).toBe(1);
  expect(() => write("zstd")).toThrow(/use gzip/);
});
