/** A group's description as rows for people to read. */

import type { AssignedTopic, GroupDescription, GroupPartition } from "../client/groups/descriptions.ts";
import { ageText } from "./times.ts";

export type GroupTable = (group: GroupDescription) => string[][];

/** What there is not, as Kafka's tools print it. */
const NONE = "-";

export const offsetsTable: GroupTable = ({ members, partitions }) => {
  const byId = new Map(members.map((member) => [member.memberId, member]));
  return [
    ["topic", "partition", "committed", "log end", "lag", "behind", "member", "host", "client"],
    ...partitions.map((partition) => {
      const member = byId.get(partition.memberId ?? "");
      return [
        partition.topic,
        String(partition.partition),
        orNone(partition.committedOffset),
        orNone(partition.logEndOffset),
        orNone(partition.lagRecords),
        behind(partition),
        partition.memberId ?? NONE,
        hostOf(member?.clientHost ?? ""),
        textOrNone(member?.clientId ?? ""),
      ];
    }),
  ];
};

export const membersTable: GroupTable = ({ members }) => [
  ["member", "instance", "host", "client", "epoch", "partitions", "assignment"],
  ...members.map((member) => [
    member.memberId,
    member.instanceId ?? NONE,
    hostOf(member.clientHost),
    textOrNone(member.clientId),
    orNone(member.memberEpoch),
    String(member.assignment.reduce((sum, { partitions }) => sum + partitions.length, 0)),
    assignmentText(member.assignment),
  ]),
];

export const stateTable: GroupTable = ({ group, type, state, protocol, members, ...rest }) => [
  ["group", group],
  ["type", type],
  ["state", state],
  ["assignor", textOrNone(protocol)],
  ["members", String(members.length)],
  ...(rest.generation === null ? [] : [["generation", String(rest.generation)]]),
  ...(rest.groupEpoch === null ? [] : [["group epoch", String(rest.groupEpoch)]]),
  ...(rest.assignmentEpoch === null ? [] : [["assignment epoch", String(rest.assignmentEpoch)]]),
];

/** One line: what there is to say at a glance. */
export function summaryText(group: GroupDescription): string {
  const { state, members, partitions, lagRecords, lagMs, isPartial } = group;
  const age = lagMs === null ? "" : `, ${ageText(lagMs)} behind`;
  const part = isPartial ? " of the first partitions" : "";
  return `${group.group}: ${state}, ${count(members.length, "member")}, ${count(partitions.length, "partition")}, lag ${lagRecords}${age}${part}`;
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

function behind({ lagMs, error }: GroupPartition): string {
  if (error !== null) return error.code;
  return lagMs === null ? NONE : ageText(lagMs);
}

function orNone(value: number | null): string {
  return value === null ? NONE : String(value);
}

function textOrNone(text: string): string {
  return text === "" ? NONE : text;
}

/** Kafka writes `/127.0.0.1`. */
function hostOf(clientHost: string): string {
  return textOrNone(clientHost.replace(/^\//, ""));
}

function assignmentText(assignment: readonly AssignedTopic[]): string {
  if (assignment.length === 0) return NONE;
  return assignment.map(({ topic, partitions }) => `${topic}:${partitions.join(",")}`).join(" ");
}
