/** The real curl. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface CurlOptions {
  readonly json?: unknown;
}

/** Its output as text. Throws for every answer but 2xx. */
export async function curl(args: readonly string[], options: CurlOptions = {}): Promise<string> {
  return (await curlBytes(args, options)).toString("utf8");
}

export async function curlBytes(args: readonly string[], { json }: CurlOptions = {}): Promise<Buffer> {
  const body = json === undefined ? [] : ["-H", "content-type: application/json", "-d", JSON.stringify(json)];
  const child = spawn("curl", ["-sS", "--fail-with-body", ...args, ...body], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pieces: Buffer[] = [];
  for await (const piece of child.stdout) pieces.push(piece);
  const output = Buffer.concat(pieces);
  const code = await new Promise<number | null>((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`curl ${args.join(" ")} ended with ${code}: ${output.toString("utf8")}`);
  return output;
}

/** The data of server-sent events, until the reader leaves. */
export async function* eventsFrom(url: string): AsyncGenerator<string> {
  const child = spawn("curl", ["-sSN", "-H", "accept: text/event-stream", url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith("data: ")) yield line.slice("data: ".length);
    }
  } finally {
    child.kill();
  }
}
