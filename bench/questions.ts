import { ceiling } from "./ceiling.ts";
import type { Question } from "./harness/question.ts";
import { produce } from "./produce.ts";

/** In the order in which they are asked. */
export const QUESTIONS: readonly Question[] = [ceiling, produce];
