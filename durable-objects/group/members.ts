import type { GroupStore } from "./group-store.ts";

export interface GroupMember {
  readonly memberId: string;
  /** Of a static member. */
  readonly instanceId: string | null;
}

export interface MemberCodec<M extends GroupMember> {
  write(member: M): string;
  read(stored: string): M;
}

/**
 * The members of a group, in the order in which they came: rows in memory. A member is never changed in place but put
 * again; {@link flush} writes what was put, inside the transaction of whatever changed it.
 */
export class Members<M extends GroupMember> {
  readonly #store: GroupStore;
  readonly #codec: MemberCodec<M>;
  readonly #members = new Map<string, M>();
  readonly #ordinals = new Map<string, number>();
  readonly #byInstance = new Map<string, string>();
  readonly #changed = new Set<string>();
  #nextOrdinal = 0;

  constructor(store: GroupStore, codec: MemberCodec<M>) {
    this.#store = store;
    this.#codec = codec;
    for (const { memberId, ordinal, member } of store.members()) {
      this.#add(codec.read(member));
      this.#ordinals.set(memberId, ordinal);
      this.#nextOrdinal = ordinal + 1;
    }
  }

  get size(): number {
    return this.#members.size;
  }

  has(memberId: string): boolean {
    return this.#members.has(memberId);
  }

  get(memberId: string): M | undefined {
    return this.#members.get(memberId);
  }

  ofInstance(instanceId: string | null): M | undefined {
    const memberId = instanceId === null ? undefined : this.#byInstance.get(instanceId);
    return memberId === undefined ? undefined : this.#members.get(memberId);
  }

  values(): IterableIterator<M> {
    return this.#members.values();
  }

  put(member: M): void {
    const { memberId } = member;
    if (this.#members.get(memberId) === member) return;
    if (!this.#ordinals.has(memberId)) this.#ordinals.set(memberId, this.#nextOrdinal++);
    this.#add(member);
    this.#changed.add(memberId);
  }

  delete(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member === undefined) return;
    this.#members.delete(memberId);
    this.#ordinals.delete(memberId);
    const { instanceId } = member;
    if (instanceId !== null && this.#byInstance.get(instanceId) === memberId) {
      this.#byInstance.delete(instanceId);
    }
    this.#changed.add(memberId);
  }

  flush(): void {
    for (const memberId of this.#changed) {
      const member = this.#members.get(memberId);
      if (member === undefined) this.#store.deleteMember(memberId);
      else this.#store.saveMember(memberId, this.#ordinals.get(memberId) ?? 0, this.#codec.write(member));
    }
    this.#changed.clear();
  }

  #add(member: M): void {
    this.#members.set(member.memberId, member);
    if (member.instanceId !== null) this.#byInstance.set(member.instanceId, member.memberId);
  }
}
