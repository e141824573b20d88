/** Ports for workerd, which listens by itself and does not say which of several was taken. */

import { createServer } from "node:net";
import { listenFailure } from "./errors.ts";

const ATTEMPTS = 10;

/**
 * Calls `start` with ports that were free a moment ago: the HTTP port, then Kafka's; a 0 becomes a free one. Before `start`
 * takes them, anything on this machine may: where there was a choice, it is then called again with others.
 *
 * @throws {CliError} a port is in use, or may not be used
 */
export async function onFreePorts<T>(
  host: string,
  ports: readonly number[],
  start: (ports: readonly number[]) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const claimed = await claimPorts(host, ports);
    try {
      return await start(claimed);
    } catch (error) {
      if (attempt === ATTEMPTS || !ports.includes(0) || !isPortTaken(error)) throw error;
    }
  }
}

/** As miniflare says it, or the error that was made of that. */
function isPortTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "ERR_ADDRESS_IN_USE") || isPortTaken(error.cause);
}

/** Ports that were free a moment ago; a 0 becomes a free one. Each is tried first, so that the error says which it was. */
export async function claimPorts(host: string, ports: readonly number[]): Promise<number[]> {
  const claims = await Promise.allSettled(
    ports.map((port, i) => claimPort(host, port, i === 0 ? "--port" : "--kafka-port")),
  );
  const claimed = claims.flatMap((claim) => (claim.status === "fulfilled" ? [claim.value] : []));
  await Promise.all(claimed.map(({ release }) => release()));
  for (const claim of claims) if (claim.status === "rejected") throw claim.reason;
  return claimed.map(({ port }) => port);
}

function claimPort(
  host: string,
  port: number,
  flag: string,
): Promise<{ port: number; release(): Promise<void> }> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(listenFailure(error, host, port, flag, "--host")),
    );
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const release = (): Promise<void> => new Promise((done) => server.close(() => done()));
      resolve({ port: typeof address === "object" && address !== null ? address.port : port, release });
    });
  });
}
