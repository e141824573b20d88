import { claimPorts } from "../../src/cli/ports.ts";
import { newRedisLog } from "../load/redis-log.ts";
import { HOW_TO_INSTALL, type Peer } from "./peer.ts";
import { outputOf, startServer } from "./process.ts";

export const REDIS: readonly Peer[] = [
  redis("Redis Streams", false, []),
  redis("Redis Streams, appendfsync always", true, ["--appendonly", "yes", "--appendfsync", "always"]),
];

function redis(name: string, syncsBeforeAck: boolean, settings: readonly string[]): Peer {
  return {
    name,
    syncsBeforeAck,
    async missing() {
      return (await versionOf()) === undefined
        ? `Redis is not installed; ${HOW_TO_INSTALL} (Debian: redis-server)`
        : undefined;
    },
    async start(dataDir) {
      const [port = 0] = await claimPorts("127.0.0.1", [0]);
      const args = ["--bind", "127.0.0.1", "--port", String(port), "--dir", dataDir, ...settings];
      const { pid, stop } = await startServer("redis-server", args, port);
      const version = (await versionOf()) ?? "unknown";
      return {
        name,
        version,
        syncsBeforeAck,
        pids: [pid],
        newLog: () => newRedisLog(`127.0.0.1:${port}`),
        stop,
      };
    },
  };
}

async function versionOf(): Promise<string | undefined> {
  return /v=([\d.]+)/.exec((await outputOf("redis-server", ["--version"])) ?? "")?.[1];
}
