import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { deleteTopicsApi } from "../messages/delete-topics.ts";
import { ZERO_UUID } from "../schema.ts";

const FIRST_VERSION_BY_ID = 6;

interface Named {
  readonly name: string | null;
  readonly topicId: string;
}

export const deleteTopics = handler(deleteTopicsApi, async ({ topics, topicNames }, call) => {
  const named: readonly Named[] =
    call.version < FIRST_VERSION_BY_ID ? topicNames.map((name) => ({ name, topicId: ZERO_UUID })) : topics;
  const responses = [];
  for (const asked of named) {
    const topic = await remove(asked, call);
    const told = isFailure(topic) ? asked : { name: topic.name, topicId: topic.id };
    responses.push({ ...told, ...errorFields(topic) });
  }
  return { responses };
});

async function remove({ name, topicId }: Named, { session: { cluster } }: Call): Promise<Topic | Failure> {
  if ((name === null) === (topicId === ZERO_UUID)) {
    return failure("INVALID_REQUEST", "a topic is deleted by its name or by its id, and not by both");
  }
  return cluster.controller.deleteTopic(name ?? { id: topicId });
}
