/** Parsers of option values: a wrong one is a usage error that says what would be right. */

import { InvalidArgumentError } from "commander";
import { type HostAndPort, parseHostsAndPorts } from "../kafka/brokers.ts";

export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

/** One of these words, in whatever case it is typed. */
export function wordOf<W extends string>(words: readonly W[]): (text: string) => W {
  return (text) => {
    const word = words.find((known) => known.toLowerCase() === text.toLowerCase());
    if (word !== undefined) return word;
    throw new InvalidArgumentError(`Give one of ${words.join(", ")}.`);
  };
}

/** An unset shell variable must not mean the working directory. */
export function directoryPath(text: string): string {
  if (text !== "") return text;
  throw new InvalidArgumentError("Give the path of a directory; . is the one you are in.");
}

/** 0 takes a free port. */
export const portNumber = integerBetween(0, 65_535);

/** An IPv6 address stands in brackets. */
export function hostAndPort(text: string): HostAndPort {
  const [parsed, ...others] = parseHostsAndPorts(text);
  if (parsed !== undefined && others.length === 0 && !text.includes(",")) return parsed;
  throw new InvalidArgumentError("Give it as host:port, such as 127.0.0.1:9092.");
}

/** One or several, separated by commas; they stay as they were typed. */
export function hostsAndPorts(text: string): string {
  for (const item of text.split(",")) hostAndPort(item);
  return text;
}

/** For an option that may be repeated. */
export function collect<T>(
  parse: (text: string) => T,
): (text: string, previous: readonly T[] | undefined) => T[] {
  return (text, previous) => [...(previous ?? []), parse(text)];
}

/** `name=value`; the value may be empty and may contain further equals signs. */
export function assignment(text: string): readonly [name: string, value: string] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Give it as name=value.");
  return [text.slice(0, at), text.slice(at + 1)];
}

export function booleanText(text: string): "true" | "false" {
  if (text === "true" || text === "false") return text;
  throw new InvalidArgumentError("Give true or false.");
}

/** A delimiter or format as typed in a shell: `\t`, `\n`, `\r`, `\\`, `\0` and `\x1f` are what they are in C. */
export function unescapeText(text: string): string {
  const named: Record<string, string> = { t: "\t", n: "\n", r: "\r", "0": "\0", "\\": "\\" };
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|([tnr0\\]))/g, (_, hex: string | undefined, name: string) =>
    hex === undefined ? (named[name] ?? name) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
