import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";

const PACKAGE = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/** The licences of all packages that have gone into what was built, as their licences want it. */
export function notices(builds: readonly Metafile[]): string {
  const directories = new Set<string>();
  for (const { inputs } of builds) {
    for (const path of Object.keys(inputs)) {
      const directory = PACKAGE.exec(path)?.[1];
      if (directory !== undefined) directories.add(directory);
    }
  }
  const texts = [...directories].sort().map(noticeOf);
  return `Edgelog contains these packages:\n\n${texts.join("\n")}`;
}

/** Some packages name their licence without bringing its text. */
function noticeOf(directory: string): string {
  const { name, version, license }: Record<string, string> = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8"),
  );
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry));
  const heading = `── ${name} ${version} (${license}) ──\n`;
  return file === undefined ? heading : `${heading}\n${readFileSync(join(directory, file), "utf8").trim()}\n`;
}
