import { ceiling } from "./ceiling.ts";
import { consume } from "./consume.ts";
import { fanOut } from "./fan-out.ts";
import type { Question } from "./harness/question.ts";
import { latency } from "./latency.ts";
import { produce } from "./produce.ts";

/** In the order in which they are asked. */
export const QUESTIONS: readonly Question[] = [ceiling, produce, latency, consume, fanOut];
