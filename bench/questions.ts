import { batches } from "./batches.ts";
import { bill } from "./bill.ts";
import { ceiling } from "./ceiling.ts";
import { cold } from "./cold.ts";
import { consume } from "./consume.ts";
import { crc } from "./crc32c.ts";
import { fanOut } from "./fan-out.ts";
import type { Question } from "./harness/question.ts";
import { kafkaCodec } from "./kafka-codec.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { produce } from "./produce.ts";
import { rebalance } from "./rebalance.ts";
import { scale } from "./scale.ts";

/** In the order in which they are asked. */
export const QUESTIONS: readonly Question[] = [
  ceiling,
  produce,
  latency,
  consume,
  fanOut,
  bill,
  cold,
  scale,
  rebalance,
  memory,
  batches,
  kafkaCodec,
  crc,
];
