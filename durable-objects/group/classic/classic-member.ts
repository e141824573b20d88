import { Buffer } from "node:buffer";
import type { GroupMember, MemberCodec } from "../members.ts";
import type { Caller, MemberProtocol } from "../rpc.ts";

export interface ClassicMember extends GroupMember, Caller {
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Its favourite first. */
  readonly protocols: readonly MemberProtocol[];
  /** Of the generation that was last Stable. */
  readonly assignment: Uint8Array;
}

export const NO_BYTES = new Uint8Array();

export function metadataOf(member: ClassicMember, protocol: string | null): Uint8Array {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? NO_BYTES;
}

export function sameProtocols(one: readonly MemberProtocol[], other: readonly MemberProtocol[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ name, metadata }, index) => {
      const match = other[index];
      return match !== undefined && match.name === name && sameBytes(match.metadata, metadata);
    })
  );
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** The protocols that all of them know. */
export function commonProtocols(members: Iterable<ClassicMember>): Set<string> {
  let common: Set<string> | undefined;
  for (const { protocols } of members) {
    const names = new Set(protocols.map(({ name }) => name));
    common = common === undefined ? names : new Set([...common].filter((name) => names.has(name)));
  }
  return common ?? new Set();
}

/** Each member votes for the first of the common protocols in its list; the most votes win. */
export function electProtocol(members: Iterable<ClassicMember>): string {
  const all = [...members];
  const candidates = commonProtocols(all);
  const votes = new Map<string, number>();
  for (const { protocols } of all) {
    const vote = protocols.find(({ name }) => candidates.has(name))?.name;
    if (vote !== undefined) votes.set(vote, (votes.get(vote) ?? 0) + 1);
  }
  const [winner] = [...votes].sort(([, one], [, other]) => other - one);
  if (winner === undefined) throw new Error("the members have no protocol in common");
  return winner[0];
}

export const classicMemberCodec: MemberCodec<ClassicMember> = {
  write: (member) =>
    JSON.stringify({
      ...member,
      protocols: member.protocols.map(({ name, metadata }) => ({ name, metadata: base64(metadata) })),
      assignment: base64(member.assignment),
    }),
  read(stored) {
    const member: StoredClassicMember = JSON.parse(stored);
    return {
      ...member,
      protocols: member.protocols.map(({ name, metadata }) => ({ name, metadata: bytesOf(metadata) })),
      assignment: bytesOf(member.assignment),
    };
  },
};

/** As written above. */
type StoredClassicMember = Omit<ClassicMember, "protocols" | "assignment"> & {
  readonly protocols: readonly { readonly name: string; readonly metadata: string }[];
  readonly assignment: string;
};

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

/** In a buffer of their own: Buffer's are shared. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
