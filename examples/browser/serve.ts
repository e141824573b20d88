/**
 * Serves the page and the SDK that it imports: `npm run example:browser`, with `npm start` running in another terminal.
 *
 * The page talks to the cluster by itself. That it may, although it comes from another port, is because both are on this
 * machine; a deployed cluster names the pages that may call in EDGELOG_ALLOWED_ORIGINS.
 */

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url).href);

/** The SDK as one module that a page can import. */
export async function bundleSdk(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "../../src/client/index.ts")],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

/** Port 0 takes a free one. */
export async function servePage(
  port: number,
  page = join(HERE, "index.html"),
): Promise<{ readonly url: string; readonly server: Server }> {
  const sdk = await bundleSdk();
  const server = createServer(async ({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    if (pathname === "/") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(await readFile(page));
    } else if (pathname === "/edgelog.js") {
      response.setHeader("content-type", "text/javascript; charset=utf-8");
      response.end(sdk);
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return { url: `http://127.0.0.1:${bound}/`, server };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.env.PORT ?? 8000);
  try {
    const { url } = await servePage(port);
    process.stdout.write(`Open ${url} (Ctrl-C ends it)\n`);
  } catch (error) {
    process.stderr.write(`Cannot serve the page: ${error instanceof Error ? error.message : error}.\n`);
    process.stderr.write(`PORT=${port + 1} npm run example:browser takes another port.\n`);
    process.exit(1);
  }
}
