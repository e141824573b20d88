/** Where `consume -o` begins. */

import { InvalidArgumentError } from "commander";

export type StartPosition =
  | { readonly at: "beginning" | "end" }
  | { readonly offset: number }
  /** So many records before the end of each partition. */
  | { readonly last: number }
  | { readonly timestampMs: number };

/** `beginning`, `end`, `<n>`, `-<n>` or `s@<ms>`. */
export function startPosition(text: string): StartPosition {
  if (text === "beginning" || text === "end") return { at: text };
  const [, kind = "", digits = ""] = /^(-|s@)?(\d{1,16})$/.exec(text) ?? [];
  const number = Number(digits);
  if (digits === "" || !Number.isSafeInteger(number)) {
    throw new InvalidArgumentError(
      "Give beginning, end, an offset (42), how many before the end (-10) or a time (s@1700000000000).",
    );
  }
  if (kind === "-") return { last: number };
  return kind === "s@" ? { timestampMs: number } : { offset: number };
}
