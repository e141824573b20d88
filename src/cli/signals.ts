/** Ending on request: Ctrl-C, a supervisor's SIGTERM, a closed terminal. */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C comes twice where a parent (npm, bin/edgelog.js) passes on what the terminal has sent to all. */
const SAME_REQUEST_MS = 500;

/** Resolves with the first signal that asks us to end; asked again, the process ends at once. */
export function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let askedMs: number | undefined;
    for (const name of SIGNALS) {
      process.on(name, () => {
        if (askedMs !== undefined && Date.now() - askedMs > SAME_REQUEST_MS) process.exit(130);
        askedMs ??= Date.now();
        resolve(name);
      });
    }
  });
}

/** Aborts on the first signal. */
export function signalOfSignals(): AbortSignal {
  const controller = new AbortController();
  void nextSignal().then(() => controller.abort());
  return controller.signal;
}

/**
 * Runs it and takes away the signal handlers that it installed: miniflare's end the process on the spot, before
 * anything else could be closed.
 */
export function withoutSignalHandlers<T>(run: () => T): T {
  const before = new Map(SIGNALS.map((name) => [name, new Set<unknown>(process.listeners(name))]));
  try {
    return run();
  } finally {
    for (const [name, known] of before) {
      for (const listener of process.listeners(name)) {
        if (!known.has(listener)) process.removeListener(name, listener);
      }
    }
  }
}
