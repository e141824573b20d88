import type { LogSystem } from "../load/system.ts";

/** A system that is measured beside Edgelog, set up in one way. */
export interface Peer {
  readonly name: string;
  readonly syncsBeforeAck: boolean;
  /** Why it cannot be measured and what to install, or undefined if it can. */
  missing(): Promise<string | undefined>;
  start(dataDir: string): Promise<RunningPeer>;
}

export interface RunningPeer extends LogSystem {
  stop(): Promise<void>;
}

export const HOW_TO_INSTALL = "run bench/peers/install.sh";
