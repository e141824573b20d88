import { RE2JS } from "re2js";
import { type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_TOPIC_REGEX_CHARACTERS_MAX } from "../../../src/model/limits.ts";

/** A regular expression over topic names, in RE2's syntax: its time is linear in the name, whatever the expression. */
export interface TopicPattern {
  /** The whole name, as Kafka matches. */
  matches(topic: string): boolean;
}

/** INVALID_REGULAR_EXPRESSION */
export function topicPattern(regex: string): TopicPattern | Failure {
  if (regex.length > GROUP_TOPIC_REGEX_CHARACTERS_MAX) {
    return failure(
      "INVALID_REGULAR_EXPRESSION",
      `the regular expression has ${regex.length} characters; at most ${GROUP_TOPIC_REGEX_CHARACTERS_MAX} are allowed`,
    );
  }
  try {
    const compiled = RE2JS.compile(regex);
    return { matches: (topic) => compiled.matches(topic) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure("INVALID_REGULAR_EXPRESSION", `${JSON.stringify(regex.slice(0, 200))}: ${reason}`);
  }
}
