/** What only `serve` needs: devDependencies of the repository, optional peers of the published package. */

import { CliError } from "./errors.ts";

const INSTALL = "npm install wrangler@4.164.0";

/** Imports an optional peer, or says what to install. */
export async function loadPeer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isModuleMissing(error)) throw error;
    throw new CliError(
      `"edgelog serve" runs the platform on this machine and needs the package "${name}", which is not installed. ` +
        `Install it beside edgelog: ${INSTALL}`,
    );
  }
}

function isModuleMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
}
