import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { claimPorts } from "../../src/cli/ports.ts";
import { newNatsLog } from "../load/nats-log.ts";
import { HOW_TO_INSTALL, type Peer } from "./peer.ts";
import { outputOf, startServer } from "./process.ts";

const BUILT = fileURLToPath(new URL("./bin/nats-server", import.meta.url).href);
const COMMAND = existsSync(BUILT) ? BUILT : "nats-server";

export const NATS: readonly Peer[] = [
  nats("NATS JetStream", false, ""),
  nats("NATS JetStream, sync_interval: always", true, "sync_interval: always"),
];

function nats(name: string, syncsBeforeAck: boolean, setting: string): Peer {
  return {
    name,
    syncsBeforeAck,
    async missing() {
      const version = await versionOf();
      if (version === undefined) return `NATS is not installed; ${HOW_TO_INSTALL} (needs Go)`;
      const [major = 0, minor = 0] = version.split(".").map(Number);
      const isNewEnough = major > 2 || (major === 2 && minor >= 10);
      return isNewEnough || setting === ""
        ? undefined
        : `nats-server ${version} has no sync_interval (2.10 and later); ${HOW_TO_INSTALL} (needs Go)`;
    },
    async start(dataDir) {
      const [port = 0] = await claimPorts("127.0.0.1", [0]);
      const config = join(dataDir, "nats.conf");
      const store = JSON.stringify(join(dataDir, "jetstream"));
      await writeFile(
        config,
        `listen: 127.0.0.1:${port}\njetstream {\n  store_dir: ${store}\n  ${setting}\n}\n`,
      );
      const { pid, stop } = await startServer(COMMAND, ["-c", config], port);
      const version = (await versionOf()) ?? "unknown";
      return {
        name,
        version,
        syncsBeforeAck,
        pids: [pid],
        newLog: () => newNatsLog(`127.0.0.1:${port}`),
        stop,
      };
    },
  };
}

async function versionOf(): Promise<string | undefined> {
  return /v(\d+\.\d+\.\d+)/.exec((await outputOf(COMMAND, ["--version"])) ?? "")?.[1];
}
