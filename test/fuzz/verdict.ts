/** The words that the oracle's rules share. */

import { gunzipSync } from "node:zlib";
import type { ModelTopic } from "./model.ts";

export interface FuzzRequest {
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface FuzzAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export type Verdict =
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "skip" }
  | {
      readonly kind: "valid";
      readonly status: number;
      /** Throws if the answer is wrong; then the model becomes what the cluster must be now. */
      readonly settle: (answer: FuzzAnswer) => void;
      /** The records that it stored, to be read back. */
      readonly stored?: () => readonly {
        readonly partition: number;
        readonly offset: number;
        readonly count: number;
      }[];
    };

/** A request with what every rule needs of it taken apart. */
export interface Parsed {
  readonly request: FuzzRequest;
  readonly query: ReadonlyMap<string, string>;
  readonly topicName: string;
  readonly topic: ModelTopic | undefined;
  readonly partition: number;
}

export function invalid(why: string): Verdict {
  return { kind: "invalid", why };
}

export function valid(status: number, settle: (answer: FuzzAnswer) => void = () => {}): Verdict {
  return { kind: "valid", status, settle };
}

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** Rules of a topic's partition that come before those of the operation. */
export function judgeExists({ topic, partition }: Parsed): Verdict | undefined {
  if (topic === undefined) return invalid("no such topic");
  return partition < topic.partitions ? undefined : invalid("no such partition");
}

export function isTopicName(name: string): boolean {
  return /^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== "." && name !== "..";
}

/** Decimal digits and nothing else. */
export function wholeNumber(text: string, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const number = Number(text);
  return /^[0-9]{1,16}$/.test(text) && number <= max ? number : undefined;
}

/** The body after gzip, or why it cannot be had. */
export function bodyOf({ headers, body = Buffer.alloc(0) }: FuzzRequest): Buffer | string {
  const encoding = (headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding === "identity") return body;
  if (encoding !== "gzip" && encoding !== "x-gzip") return "unknown encoding";
  try {
    return gunzipSync(body, { maxOutputLength: 16 * 1024 * 1024 });
  } catch (error) {
    return String(error);
  }
}

/** The media type, lower-cased; undefined if it is not said or not in UTF-8. */
export function typeOf({ headers }: FuzzRequest): string | undefined {
  const [type = "", ...parameters] = (headers["content-type"] ?? "").split(";").map((part) => part.trim());
  const charset = parameters
    .map((parameter) => /^charset\s*=\s*"?([^"]*)"?$/i.exec(parameter)?.[1])
    .find(Boolean);
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) return undefined;
  return type.toLowerCase();
}

/** undefined if it is not UTF-8. */
export function textOf(body: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body);
  } catch {
    return undefined;
  }
}
