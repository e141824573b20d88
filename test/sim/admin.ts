/** Whoever changes topics: configs, DeleteRecords, deletion and a new life under the same name. */

import type { Failure } from "../../src/model/errors.ts";
import { isFailure } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import { isFault } from "./object-host.ts";
import { Lane } from "./producer.ts";
import { follow, watchEnds } from "./reader.ts";
import { listenToNotices, Subscriber } from "./subscriber.ts";
import { changeableConfigs } from "./topic-plans.ts";
import type { LiveTopic, Workload } from "./workload.ts";

/** Everything that is done to one topic, and to those that follow it under its name, until the run drains. */
export async function topicLives(workload: Workload, name: string): Promise<void> {
  const { random } = workload;
  const isMortal = random.chance(0.4);
  do {
    const live = await workload.createTopic(name);
    use(workload, live);
    const lastsMs = isMortal ? random.integer(100, 6_000) : Number.POSITIVE_INFINITY;
    const endsAtMs = workload.platform.scheduler.nowMs + lastsMs;
    while (!workload.isDraining && workload.platform.scheduler.nowMs < endsAtMs) {
      await workload.pause(500);
      if (workload.isDraining) return;
      if (random.chance(0.1)) await alter(workload, live);
      if (random.chance(0.1)) await trim(workload, live);
    }
    if (workload.isDraining) return;
    await remove(workload, live);
  } while (!workload.isDraining);
}

/** For whatever is still to be written: a log that may not be tiered is full at some time. */
export async function makeRoom(workload: Workload): Promise<void> {
  for (const live of workload.topics) {
    const configs = { "remote.log.copy.disable": "false", "local.retention.ms": "0" };
    const answer = await workload.insist(() =>
      workload.controller.alterTopicConfigs(live.topic.name, configs),
    );
    if (isFailure(answer)) refused(workload, "altering", live, answer);
    else learn(live, answer);
  }
}

function use(workload: Workload, live: LiveTopic): void {
  const { random } = workload;
  for (const [partition, record] of live.records.entries()) {
    const producers = random.integer(1, 3);
    for (let nth = 0; nth < producers; nth++) {
      workload.run("a producer", new Lane(workload, `producer ${nth}`, live, partition, record).run());
    }
    workload.run("a follower", follow(workload, live, partition, record));
    workload.run("whoever asks for the ends", watchEnds(workload, live, partition, record));
    if (random.chance(0.5)) {
      workload.run("a subscriber", new Subscriber(workload, live, partition, record).run());
    }
    if (random.chance(0.3)) {
      workload.run("a notice socket", listenToNotices(workload, live, partition, record));
    }
  }
}

async function alter(workload: Workload, live: LiveTopic): Promise<void> {
  const [changed, ...others] = Object.entries(changeableConfigs(workload.random));
  if (changed === undefined) return;
  const [config, value] = workload.random.pick([changed, ...others]);
  const answer = await workload.insist(() =>
    workload.controller.alterTopicConfigs(live.topic.name, { [config]: value }),
  );
  workload.platform.count("configs changed");
  if (!isFailure(answer)) learn(live, answer);
  // Kafka's rule that a local copy is not kept longer than the log.
  else if (answer.error !== "INVALID_CONFIG") refused(workload, "altering", live, answer);
}

/** Answers overtake one another. */
function learn(live: LiveTopic, topic: Topic): void {
  if (topic.version > live.topic.version) live.topic = topic;
}

async function trim(workload: Workload, live: LiveTopic): Promise<void> {
  const partition = workload.random.integer(0, live.records.length - 1);
  const record = live.records[partition];
  if (record === undefined) return;
  const { logStart, logEnd } = record.history.ends();
  const beforeOffset = workload.random.integer(logStart, logEnd);
  record.history.deletionSent(beforeOffset);
  const reading = record.asks();
  const leader = workload.leader(live, partition);
  try {
    const answer = await workload.frontEnd.ask(() =>
      leader.deleteRecords({ topicVersion: live.topic.version, beforeOffset }),
    );
    if (isFailure(answer)) return refused(workload, "deleting records of", live, answer);
    workload.platform.count("DeleteRecords");
    const { logStartOffset } = answer;
    if (logStartOffset < beforeOffset)
      workload.platform.violated(
        `${record.name}: DeleteRecords before ${beforeOffset} says ${logStartOffset}`,
      );
    record.report(
      record.history.bounds(logStartOffset, reading.known.logEnd, "DeleteRecords", reading.known),
    );
  } catch (error) {
    if (!isFault(error)) throw error;
  }
}

async function remove(workload: Workload, live: LiveTopic): Promise<void> {
  live.isEnded = true;
  workload.topics.delete(live);
  workload.deleted.add(live);
  for (let wasTried = false; ; wasTried = true) {
    const answer = await workload.frontEnd
      .askOnce(() => workload.controller.deleteTopic(live.topic.name))
      .catch((error: unknown) => {
        if (!isFault(error)) throw error;
        return undefined;
      });
    if (answer === undefined) continue;
    workload.platform.count("topics deleted");
    if (!isFailure(answer)) return;
    if (answer.error === "UNKNOWN_TOPIC_OR_PARTITION" && wasTried) return;
    return refused(workload, "deleting", live, answer);
  }
}

function refused({ platform }: Workload, what: string, live: LiveTopic, { message }: Failure): void {
  platform.violated(`${what} ${live.topic.name}: ${message}`);
}
