import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs with a directory that is gone afterwards. */
export async function inTemporaryDirectory<T>(name: string, run: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), `edgelog-bench-${name}-`));
  try {
    return await run(path);
  } finally {
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
}
