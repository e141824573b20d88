import { RE2JS } from "re2js";
import { type Failure, failure } from "./errors.ts";
import { NAME_REGEX_CHARACTERS_MAX } from "./limits.ts";

/** A regular expression over names, in RE2's syntax: its time is linear in the name, whatever the expression. */
export interface NamePattern {
  /** The whole name, as Kafka matches. */
  matches(name: string): boolean;
}

/** INVALID_REGULAR_EXPRESSION */
export function namePattern(regex: string): NamePattern | Failure {
  if (regex.length > NAME_REGEX_CHARACTERS_MAX) {
    return failure(
      "INVALID_REGULAR_EXPRESSION",
      `the regular expression has ${regex.length} characters; at most ${NAME_REGEX_CHARACTERS_MAX} are allowed`,
    );
  }
  try {
    const compiled = RE2JS.compile(regex);
    return { matches: (name) => compiled.matches(name) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure("INVALID_REGULAR_EXPRESSION", `${JSON.stringify(regex.slice(0, 200))}: ${reason}`);
  }
}
