import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { buffer, text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const TIMEOUT_MS = 300_000;

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end and returns what it printed; throws with its errors unless it ends well. */
export async function run(
  program: string,
  args: readonly string[],
  { input = "", env = {} }: RunOptions = {},
): Promise<string> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, timeout: TIMEOUT_MS });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [code, out, errors] = await Promise.all([exited, buffer(child.stdout), text(child.stderr)]);
  if (code === 0) return out.toString();
  throw new Error(
    `${program} ${args.join(" ")} ended with ${code}: ${errors.trim() || out.toString().slice(-500)}`,
  );
}

/** Of one of this project's own packages. */
export async function packageVersion(name: string): Promise<string> {
  const file = fileURLToPath(new URL(`../../node_modules/${name}/package.json`, import.meta.url).href);
  const { version }: { readonly version: string } = JSON.parse(await readFile(file, "utf8"));
  return version;
}
