import type { TestRecord } from "./records.ts";

export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";
export const CODECS: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** The cluster as clients reach it. */
export interface Target {
  /** How: `tcp`, `sasl` (TCP with SASL PLAIN), `tunnel`. */
  readonly route: string;
  /** `host:port`, separated by commas. */
  readonly bootstrap: string;
  readonly url: string;
  /** Demanded by HTTP; by Kafka, too, on the route `sasl`. */
  readonly token?: string;
  readonly sasl?: { readonly username: string; readonly password: string };
  /** Where the cluster stores everything. */
  readonly dataDir: string;
}

/** Something more that is run with a client; throws if it is not as it must be. */
export interface Check {
  readonly what: string;
  /** Returns a word for the table, or nothing. */
  run(target: Target, topic: string): Promise<string | undefined>;
}

/** A client that somebody else wrote. */
export interface Client {
  readonly name: string;
  /** Its version, or what must be installed before it can be run. */
  installed(): Promise<{ readonly version: string } | { readonly missing: string }>;
  readonly codecs: readonly Codec[];
  /** Whether it carries any bytes, or only lines of text. */
  readonly isBinary: boolean;
  /** It makes null of empty keys and values before it sends them. */
  readonly sendsNullForEmpty?: true;
  produce(target: Target, topic: string, records: readonly TestRecord[], codec: Codec): Promise<void>;
  /** Everything from the beginning on, all partitions; those of one partition in their order. */
  consume(target: Target, topic: string, count: number): Promise<TestRecord[]>;
  readonly checks: readonly Check[];
}
