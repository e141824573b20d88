import { failure } from "../../model/errors.ts";
import { errorFields } from "../error-codes.ts";
import { handler } from "../handler.ts";
import { createPartitionsApi } from "../messages/create-partitions.ts";
import { repeatedIn } from "../repeated.ts";

/** Where replicas go is the platform's to decide: assignments are taken for the number of partitions that they name. */
export const createPartitions = handler(
  createPartitionsApi,
  async ({ topics, validateOnly }, { session }) => {
    const repeated = repeatedIn(topics.map(({ name }) => name));
    const results = [];
    for (const { name, count } of topics) {
      const topic = repeated.has(name)
        ? failure("INVALID_REQUEST", "the topic is named twice in one request")
        : await session.cluster.controller.createPartitions(name, count, validateOnly);
      results.push({ name, ...errorFields(topic) });
    }
    return { results };
  },
);
