/** The schemas that several resources share. Each says in OpenAPI's words what it accepts. */

import { type RouteConfig, z } from "@hono/zod-openapi";
import { failure } from "../model/errors.ts";
import { topicNameProblem } from "../model/ids.ts";
import { OFFSET_MAX, PARTITION_MAX } from "../model/limits.ts";
import { quote } from "../model/quote.ts";
import { rule } from "./errors.ts";

export const TopicName = z
  .string()
  .superRefine(
    rule((name) => {
      const problem = topicNameProblem(name);
      return problem === undefined ? undefined : failure("INVALID_TOPIC_EXCEPTION", problem);
    }),
  )
  .openapi({
    description: "1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`; not `.` or `..`.",
    pattern: "^[a-zA-Z0-9._-]{1,249}$",
    example: "flights",
  });

/** Digits in a path or a query string, and nothing else. */
export function digits(bounds: { readonly min?: number; readonly max: number }) {
  const { min = 0, max } = bounds;
  return z
    .string()
    .regex(/^\d{1,16}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((number) => number >= min && number <= max, `must be a whole number from ${min} to ${max}`)
    .openapi({ type: "integer", format: "int64", minimum: min, maximum: max });
}

/** The same beside words that stand for a number. */
export function digitsOr<const W extends string>(words: readonly [W, ...W[]], max: number = OFFSET_MAX) {
  const problem = `must be ${words.map((word) => `"${word}"`).join(", ")} or a whole number from 0 to ${max}`;
  return z
    .string()
    .transform((text, context): W | number => {
      const word = words.find((known) => known === text);
      if (word !== undefined) return word;
      if (/^\d{1,16}$/.test(text) && Number(text) <= max) return Number(text);
      context.addIssue({ code: "custom", message: problem });
      return z.NEVER;
    })
    .openapi({
      type: ["integer", "string"],
      anyOf: [
        { type: "integer", format: "int64", minimum: 0, maximum: max },
        { type: "string", enum: [...words] },
      ],
    });
}

/** One of these words, in whatever case it is written. */
export function wordOf<const W extends string>(words: readonly W[]) {
  return z
    .string()
    .transform((text, context): W => {
      const word = words.find((known) => known.toLowerCase() === text.toLowerCase());
      if (word !== undefined) return word;
      context.addIssue({ code: "custom", message: `must be one of ${words.join(", ")}, not ${quote(text)}` });
      return z.NEVER;
    })
    .openapi({ type: "string", enum: [...words] });
}

/** Of resources that take no parameters: unknown ones are refused everywhere. */
export const NoQuery = z.strictObject({});

export const TopicParams = z.object({ topic: TopicName });

export const PartitionParams = z.object({
  topic: TopicName,
  partition: digits({ max: PARTITION_MAX }).openapi({ description: "0-based.", example: 0 }),
});

/** A partition index in JSON. */
export const PartitionIndex = z.int().min(0).max(PARTITION_MAX);

export const Offset = z.int().openapi({ format: "int64", description: "An offset; below 2^53." });

/** `content` of an OpenAPI answer or body in JSON. */
export function json<T extends z.ZodType>(schema: T) {
  return { "application/json": { schema } };
}

type ResponseConfig = RouteConfig["responses"][string];

/** An answer that is made by hand (streamed, or no JSON), so that only the document knows its schema. */
export function documentedAnswer(answer: ResponseConfig): ResponseConfig {
  return answer;
}

/** A body whose schema stands in the document; it is parsed by body.ts, which bounds it first. */
export function documentedBody(component: string) {
  return {
    required: true,
    content: { "application/json": { schema: { $ref: `#/components/schemas/${component}` } } },
  };
}
