/** `edgelog serve` with the faulty Worker: `node serve-faulty.ts <data directory> <variables as JSON>`. */

import { fileURLToPath } from "node:url";
import { startPlatform } from "../../src/cli/platform.ts";

const [dataDir = "", vars = "{}"] = process.argv.slice(2);
const platform = await startPlatform({
  port: 0,
  kafkaPorts: [0],
  dataDir,
  entry: fileURLToPath(new URL("./faulty-worker.ts", import.meta.url).href),
  vars: JSON.parse(vars),
});
process.stdout.write(`${JSON.stringify({ url: platform.url, kafka: platform.kafkaAddresses })}\n`);
process.once("SIGTERM", () => void platform.stop());
