/** The example as it is deployed: two Workers, one of which has a service binding to the other. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleWorker, PACKAGE_ROOT } from "../../src/cli/bundle.ts";
import { loadRuntime } from "../../src/cli/peers.ts";

const EXAMPLE = join(PACKAGE_ROOT, "examples/service-binding");
let directory: string;
let runtime: Miniflare;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "edgelog-service-"));
  const { wrangler, miniflare } = await loadRuntime();
  const worker = async (name: string, config: string, entry?: string) => ({
    ...wrangler.unstable_getMiniflareWorkerOptions(config).workerOptions,
    name,
    modules: [
      {
        type: "ESModule" as const,
        path: join(PACKAGE_ROOT, `${name}.js`),
        contents: await bundleWorker(entry),
      },
    ],
    modulesRoot: PACKAGE_ROOT,
    // Neither EDGELOG_OPEN nor a token: the binding is the permission.
    connectHandlers: [],
  });
  runtime = new miniflare.Miniflare(
    miniflare.convertV4MiniflareOptions({
      cf: false,
      telemetry: { enabled: false },
      log: new miniflare.NoOpLog(),
      resourcePersistencePath: directory,
      workers: [
        await worker("hits", join(EXAMPLE, "wrangler.toml"), join(EXAMPLE, "worker.ts")),
        await worker("edgelog", join(PACKAGE_ROOT, "wrangler.toml")),
      ],
    }),
  );
  await runtime.ready;
});

afterAll(async () => {
  await runtime.dispose();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

function get(path: string) {
  return runtime.dispatchFetch(`http://localhost${path}`, { headers: { "user-agent": "test" } });
}

describe("a Worker with a service binding to the cluster", () => {
  test("produces, fetches and follows without HTTP and without a token", async () => {
    expect(await (await get("/first")).json()).toEqual({ partition: 0, offset: 0 });
    const live = (await get("/live")).body?.getReader();
    const read = async () => new TextDecoder().decode((await live?.read())?.value);
    expect(await read()).toBe(": listening\n\n");
    for (let offset = 1; offset < 4; offset++) {
      expect(await (await get(`/${offset}`)).json()).toEqual({ partition: 0, offset });
    }
    expect(await read()).toMatch(/^data: \S+ \/[123] \{"method":"GET","agent":"test"\}\n\n/);
    await live?.cancel();
    const newest = await (await get("/hits")).text();
    expect(newest.match(/ \/\w+ /g)).toEqual([" /first ", " /1 ", " /2 ", " /3 "]);
  });
});
