/**
 * Inputs that are kept: one of each kind that the oracle tells apart, and whatever once broke something. Each run replays
 * them before it makes up new ones. A file of test/fuzz/corpus/ has a JSON text on each line.
 */

import { isUtf8 } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { SocketCase } from "./socket-rules.ts";
import type { FuzzRequest } from "./verdict.ts";

export type CorpusName = "batches" | "http" | "sockets";

/** Bytes as people can read them, where they can. */
export type KeptBytes = string | { readonly base64: string };

export interface KeptRequest extends Omit<FuzzRequest, "body"> {
  readonly body?: KeptBytes;
}

export interface KeptSocketCase extends Omit<SocketCase, "messages"> {
  readonly form: "events" | "socket";
  /** A string is a text message. */
  readonly messages: readonly (string | { readonly base64: string })[];
}

const LINE_CHARACTERS_MAX = 4_000;
/** Stands for what the names of a run's topics begin with. */
const PREFIX = "{prefix}";

export class Corpus<Kept> {
  readonly #file: string;
  readonly #lines: string[];
  readonly #kinds = new Set<string>();

  constructor(name: CorpusName) {
    this.#file = fileURLToPath(new URL(`./corpus/${name}.ndjson`, import.meta.url).href);
    this.#lines = readFileSync(this.#file, "utf8").split("\n").filter(Boolean);
  }

  *[Symbol.iterator](): Generator<Kept> {
    for (const line of this.#lines) yield JSON.parse(line);
  }

  /** A kind that is there already is not needed once more: to be called for the kept ones first. */
  knows(kind: string): void {
    this.#kinds.add(kind);
  }

  /** Keeps the first of each kind, unless it is long. */
  offer(kind: string, kept: Kept): void {
    if (this.#kinds.has(kind)) return;
    const line = JSON.stringify(kept);
    if (line.length > LINE_CHARACTERS_MAX) return;
    this.#kinds.add(kind);
    this.#lines.push(line);
  }

  save(): void {
    writeFileSync(this.#file, this.#lines.map((line) => `${line}\n`).join(""));
  }
}

export function keptRequest({ body, target, ...request }: FuzzRequest, prefix: string): KeptRequest {
  const general = (text: string) => text.replaceAll(prefix, PREFIX);
  const kept = { ...request, target: general(target) };
  if (body === undefined) return kept;
  const bytes = keptBytes(body);
  return { ...kept, body: typeof bytes === "string" ? general(bytes) : bytes };
}

export function replayedRequest({ body, target, ...request }: KeptRequest, prefix: string): FuzzRequest {
  const special = (text: string) => text.replaceAll(PREFIX, prefix);
  const replayed = { ...request, target: special(target) };
  if (body === undefined) return replayed;
  return { ...replayed, body: typeof body === "string" ? Buffer.from(special(body)) : bytesOf(body) };
}

export function keptSocketCase(
  { messages, ...socketCase }: SocketCase,
  form: KeptSocketCase["form"],
): KeptSocketCase {
  const kept = messages.map((message) =>
    typeof message === "string" ? message : { base64: message.toString("base64") },
  );
  return { ...socketCase, form, messages: kept };
}

export function replayedSocketCase({ messages, form: _, ...socketCase }: KeptSocketCase): SocketCase {
  const replayed = messages.map((message) => (typeof message === "string" ? message : bytesOf(message)));
  return { ...socketCase, messages: replayed };
}

export function keptBytes(bytes: Buffer): KeptBytes {
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString("base64") };
}

export function bytesOf({ base64 }: { readonly base64: string }): Buffer {
  return Buffer.from(base64, "base64");
}
