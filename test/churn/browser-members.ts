/** Members that are pages, each in a browser of its own. */

import { appendFileSync } from "node:fs";
import { build } from "esbuild";
import { type BrowserServer, chromium, type Page } from "playwright-core";
import { servePage } from "../../examples/browser/serve.ts";
import { inTime } from "../../src/model/in-time.ts";
import type { MemberLog } from "./check.ts";
import { hasAssigned, readEvents } from "./events.ts";
import type { Member, MemberTarget, StartMember } from "./member.ts";

const STOP_MS_MAX = 20_000;

interface BrowserMemberOptions {
  readonly executablePath: string;
  /** A page that may call the cluster. */
  readonly pageUrl: string;
  /** Run in the page. */
  readonly script: string;
  readonly target: MemberTarget;
  /** For what a killed browser leaves lying. */
  readonly directory: string;
}

/** `entryPoint` makes startMember and stopMember. */
export async function browserMembers(
  directory: string,
  {
    executablePath,
    entryPoint,
    target,
  }: { executablePath: string; entryPoint: string; target: MemberTarget },
): Promise<StartMember> {
  const [site, { outputFiles }] = await Promise.all([
    servePage(0),
    build({ entryPoints: [entryPoint], bundle: true, format: "esm", target: "es2022", write: false }),
  ]);
  site.server.unref();
  // A script shown as text is a page like any other.
  const options = {
    executablePath,
    pageUrl: `${site.url}edgelog.js`,
    script: outputFiles[0]?.text ?? "",
    target,
    directory,
  };
  let count = 0;
  return (name, path) => new BrowserMember(name, path, options, count++ % 2 === 0 ? "browser" : "page");
}

class BrowserMember implements Member {
  readonly name: string;
  readonly ended: Promise<void>;
  readonly #path: string;
  readonly #kills: "browser" | "page";
  readonly #started: Promise<{ readonly server: BrowserServer; readonly page: Page }>;
  #end: MemberLog["end"] = "by itself";
  #endMs = Number.POSITIVE_INFINITY;
  #done: () => void = () => {};

  /** `kills` is what a kill hits: the browser gets a SIGKILL, or the page is closed without being asked. */
  constructor(name: string, path: string, options: BrowserMemberOptions, kills: "browser" | "page") {
    this.name = name;
    this.#path = path;
    this.#kills = kills;
    for (const file of ["log", "err"]) appendFileSync(`${path}.${file}`, "");
    this.ended = new Promise((resolve) => {
      this.#done = () => {
        this.#endMs = Math.min(this.#endMs, Date.now());
        resolve();
      };
    });
    this.#started = this.#start(options);
    this.#started.catch((error: unknown) => {
      this.#complain(String(error));
      this.#done();
    });
  }

  async #start({ executablePath, pageUrl, script, target, directory }: BrowserMemberOptions) {
    const env = { ...process.env, TMPDIR: directory };
    const server = await chromium.launchServer({ executablePath, args: ["--no-sandbox"], env });
    server.process().once("exit", this.#done);
    const browser = await chromium.connect(server.wsEndpoint());
    const page = await browser.newPage();
    page.once("close", this.#done);
    page.on("pageerror", ({ message }) => this.#complain(message));
    await page.exposeFunction("tell", (text: string) => appendFileSync(`${this.#path}.log`, text));
    await page.goto(pageUrl);
    await page.addScriptTag({ type: "module", content: script });
    await page.waitForFunction(() => "startMember" in globalThis);
    await page.evaluate((to) => startMember(to), target);
    return { server, page };
  }

  hasJoined(): Promise<boolean> {
    return hasAssigned(this.#path);
  }

  async kill(): Promise<void> {
    this.#ending("killed");
    const started = await this.#started.catch(() => undefined);
    if (this.#kills === "page") await started?.page.close().catch(() => undefined);
    await started?.server.kill();
    await this.ended;
  }

  async stop(): Promise<void> {
    this.#ending("stopped");
    const started = await this.#started.catch(() => undefined);
    const left = started?.page.evaluate(() => stopMember()).catch(() => undefined);
    if (left !== undefined) await inTime(left, STOP_MS_MAX, () => undefined);
    await started?.server.kill();
    await this.ended;
  }

  async log(): Promise<MemberLog> {
    return { name: this.name, end: this.#end, endMs: this.#endMs, events: await readEvents(this.#path) };
  }

  #ending(end: MemberLog["end"]): void {
    if (this.#endMs !== Number.POSITIVE_INFINITY) return;
    this.#end = end;
    this.#endMs = Date.now();
  }

  #complain(text: string): void {
    appendFileSync(`${this.#path}.err`, `${text}\n`);
  }
}
