/** The SDK in a real Chromium: Debian's `chromium`, or the one that CHROMIUM_PATH names. */

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { servePage } from "../../examples/browser/serve.ts";
import type { Edgelog, EdgelogOptions } from "../../src/client/index.ts";
import { useCluster } from "./cluster.ts";
import { stored } from "./stored.ts";

interface Where {
  readonly url: string;
  readonly topic: string;
}

/** The first byte of a WebSocket frame that is whole and binary. */
const BINARY_FRAME = 0x82;
const TOKEN = "a-token-for-browsers-0123456789ab";

/** In the page. */
declare function makeClient(options: EdgelogOptions): Edgelog;
declare function tell(value: string): void;
const MAKE_CLIENT = `
  import { Edgelog } from "./edgelog.js";
  globalThis.makeClient = (options) => new Edgelog(options);`;

const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const isMissing = !existsSync(executablePath);
if (isMissing) {
  console.warn(
    `SKIPPED: the browser tests of the SDK, because there is no browser at ${executablePath}; ` +
      "install one (apt-get install -y chromium) or set CHROMIUM_PATH.",
  );
}

describe.skipIf(isMissing)("in Chromium", () => {
  const cluster = useCluster();
  const guarded = useCluster({ rootToken: TOKEN, allowedOrigins: "*" });
  let browser: Browser;
  let site: Awaited<ReturnType<typeof servePage>>;

  beforeAll(async () => {
    [site, browser] = await Promise.all([
      servePage(0),
      chromium.launch({ executablePath, args: ["--no-sandbox"] }),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    site?.server.close();
  });

  /** A page that has `makeClient`. */
  async function openPage(): Promise<Page> {
    const page = await browser.newPage();
    // A page that came from nowhere may not call this machine; a script shown as text is a page like any other.
    await page.goto(`${site.url}edgelog.js`);
    await page.addScriptTag({ type: "module", content: MAKE_CLIENT });
    await page.waitForFunction(() => "makeClient" in globalThis);
    return page;
  }

  /** Runs it in such a page. */
  async function inPage<R>(run: (where: Where) => Promise<R>, where: Where): Promise<R> {
    const page = await openPage();
    try {
      return await page.evaluate(run, where);
    } finally {
      await page.close();
    }
  }

  test("a page produces, compressed and exactly once, and consumes, over connections that break", async () => {
    const topic = await cluster.newTopic(3);
    let posts = 0;
    let chunks = 0;
    let frames = 0;
    cluster.proxy.fault = (text) =>
      text.startsWith("POST") && ++posts % 3 === 0 ? "drop answer" : undefined;
    // However few there are on a fast machine, the first one that brings records is among those that get lost.
    cluster.proxy.breaks = ([first]) => (first === BINARY_FRAME && ++frames === 1) || ++chunks % 25 === 0;
    const { values, disconnects } = await inPage(
      async ({ url, topic }) => {
        const client = makeClient({ url });
        const producer = client.producer({
          topic,
          compression: "gzip",
          maxRequestSize: 2_000,
          retryBackoffMs: 5,
        });
        let disconnects = 0;
        const records = client.consume(topic, {
          from: "earliest",
          reconnectBackoffMs: 5,
          onDisconnect: () => disconnects++,
        });
        const sending = producer.sendAll(
          Array.from({ length: 3_000 }, (_, i) => ({ value: `${i}`, partition: i % 3 })),
        );
        const values: Record<number, string[]> = { 0: [], 1: [], 2: [] };
        let count = 0;
        for await (const record of records) {
          values[record.partition]?.push(record.text() ?? "");
          count += 1;
          if (count === 3_000) break;
        }
        await sending;
        await producer.close();
        return { values, disconnects };
      },
      { url: cluster.proxy.url, topic },
    );
    cluster.proxy.fault = () => undefined;
    cluster.proxy.breaks = () => false;
    for (const partition of [0, 1, 2]) {
      const expected = Array.from({ length: 1_000 }, (_, i) => `${i * 3 + partition}`);
      expect(values[partition]).toEqual(expected);
      const log = await stored(cluster.url, topic, partition);
      expect(log.values).toEqual(expected);
      expect(log.headers[0]?.compression).toBe(1);
    }
    expect(disconnects).toBeGreaterThan(0);
  });

  test("a page with a token subscribes by a ticket, from another origin", async () => {
    const topic = await guarded.newTopic();
    await guarded.client().producer({ topic }).send({ value: "for the page" });
    const text = await inPage(
      async ({ url, topic }) => {
        const records = makeClient({ url, token: "a-token-for-browsers-0123456789ab" }).consume(topic, {
          from: "earliest",
        });
        const { value } = await records.next();
        await records.close();
        return value?.text();
      },
      { url: guarded.url, topic },
    );
    expect(text).toBe("for the page");
  });

  test("a page learns why it was refused, which its WebSocket does not say", async () => {
    const topic = await guarded.newTopic();
    const code = await inPage(
      async ({ url, topic }) => {
        const refused = makeClient({ url, token: "wrong" }).consume(topic).next();
        return refused.then(
          () => "",
          ({ code }) => code,
        );
      },
      { url: guarded.url, topic },
    );
    expect(code).toBe("SASL_AUTHENTICATION_FAILED");
  });

  test("a tab is a full member of a group, beside one in Node, and its successor goes on where it was", async () => {
    const topic = await guarded.newTopic(4);
    const client = guarded.client();
    const producer = client.producer({ topic });
    const produce = (from: number, to: number) =>
      producer.send(
        Array.from({ length: to - from }, (_, i) => ({ value: `${from + i}`, partition: (from + i) % 4 })),
      );
    await produce(0, 40);
    const page = await openPage();
    const values: string[] = [];
    const owned = new Set<number>();
    let changed = () => {};
    const until = async (done: () => boolean) => {
      while (!done()) {
        await new Promise<void>((resolve) => {
          changed = resolve;
        });
      }
    };
    await page.exposeFunction("tell", (value: string) => {
      values.push(value);
      changed();
    });
    await page.evaluate(
      ({ url, topic }) => {
        const tab = makeClient({ url, token: "a-token-for-browsers-0123456789ab" }).consume(topic, {
          group: "a page and Node",
          from: "earliest",
          autoCommitIntervalMs: 50,
        });
        void (async () => {
          for await (const record of tab) tell(`${record.text()}`);
        })();
      },
      { url: guarded.url, topic },
    );
    await until(() => values.length === 40);
    const records = client.consume(topic, {
      group: "a page and Node",
      from: "earliest",
      onAssigned: (partitions) => {
        for (const { partition } of partitions) owned.add(partition);
        changed();
      },
    });
    const ofNode: string[] = [];
    const loop = (async () => {
      for await (const record of records) {
        ofNode.push(record.text() ?? "");
        changed();
      }
    })();
    await until(() => owned.size === 2);
    await produce(40, 80);
    await until(() => values.length + ofNode.length === 80);
    expect([values.length, ofNode.length]).toEqual([60, 20]);
    const group = await client.groups.describe("a page and Node");
    expect(group.members.map(({ assignment }) => assignment[0]?.partitions)).toEqual(
      expect.arrayContaining([
        [0, 1],
        [2, 3],
      ]),
    );
    // Everything that the tab has processed is committed: nothing comes again when it is gone.
    while ((await client.groups.describe("a page and Node")).lagRecords > 0);
    await page.close();
    await until(() => owned.size === 4);
    await produce(80, 120);
    await until(() => ofNode.length === 60);
    expect([...values, ...ofNode].map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 120 }, (_, i) => i),
    );
    await records.close();
    await loop;
    await producer.close();
  });

  test("the example page shows records as they come, and sends what is typed", async () => {
    const topic = await cluster.newTopic();
    await cluster.client().producer({ topic }).send({ key: "alice", value: "<b>12</b>" });
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", ({ message }) => problems.push(message));
    await page.goto(`${site.url}?url=${encodeURIComponent(cluster.url)}&topic=${topic}`);
    await page.getByRole("cell", { name: "<b>12</b>" }).waitFor();
    await page.getByLabel("key").fill("bob");
    await page.getByLabel("value").fill("typed here");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("cell", { name: "typed here" }).waitFor();
    await page.getByText(`2 records of ${topic}`).waitFor();
    expect((await stored(cluster.url, topic)).values).toEqual(["<b>12</b>", "typed here"]);
    expect(problems).toEqual([]);
    await page.close();
  });

  test("the page in docs/sdk.md produces and consumes as it stands there", async () => {
    const text = await readFile(join(import.meta.dirname, "../../docs/sdk.md"), "utf8");
    const [, html = ""] = /^```html\n([\s\S]*?)^```/m.exec(text) ?? [];
    const directory = await mkdtemp(join(tmpdir(), "edgelog-page-"));
    const file = join(directory, "index.html");
    await writeFile(file, html.replaceAll("http://127.0.0.1:8787", cluster.url));
    const { url, server } = await servePage(0, file);
    const page = await browser.newPage();
    try {
      await page.goto(url);
      await page.click("button");
      await page.locator("pre", { hasText: "0/0 20" }).waitFor();
    } finally {
      await page.close();
      server.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
