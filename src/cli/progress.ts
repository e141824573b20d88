/** A progress bar on stderr, where someone is looking; nothing otherwise. */

import cliProgress from "cli-progress";

// A CommonJS package: Node finds its names only on the default export.
const { Format, Presets, SingleBar } = cliProgress;

export interface Progress {
  /** @param records what has been done so far @param share how much of the whole it is, 0 to 1, where that is known */
  update(records: number, share?: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** @param what the unit, such as "records" */
export function startProgress(
  label: string,
  what: string,
  isWanted: boolean = process.stderr.isTTY === true,
): Progress {
  if (!isWanted) return SILENT;
  const startedMs = Date.now();
  const bar = new SingleBar(
    {
      stream: process.stderr,
      clearOnComplete: true,
      hideCursor: true,
      format: (options, params, payload: { records?: number; share?: number }) => {
        const records = payload.records ?? 0;
        const rate = Math.round((records * 1000) / Math.max(1, Date.now() - startedMs));
        const count = `${records.toLocaleString("en")} ${what}, ${rate.toLocaleString("en")}/s`;
        if (payload.share === undefined) return `${label} ${count}`;
        return `${label} ${Format.BarFormat(params.progress, options)} ${Math.floor(payload.share * 100)} % ${count}`;
      },
    },
    Presets.shades_classic,
  );
  bar.start(1, 0);
  return {
    update: (records, share) => bar.update(share ?? 0, { records, share }),
    stop: () => bar.stop(),
  };
}
