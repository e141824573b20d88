import type { LeaderRpc } from "../../durable-objects/partition/rpc.ts";
import { PARTITION_SESSION_IDLE_MS } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import type { Leaders, PartitionStub, PartitionStubs } from "./partition-stubs.ts";

type Opening = ReturnType<PartitionStub["session"]>;

/** How one connection reaches one partition. */
interface Caller {
  readonly topic: Topic;
  readonly partition: number;
  readonly stub: PartitionStub;
  /** Not waited for: what is called on it arrives behind the call that opens it. */
  session: Opening | undefined;
  /** The session itself, which is cheaper to call; known when a call that stood behind its opening has been answered. */
  opened: Awaited<Opening> | undefined;
  callsUnderWay: number;
  usedMs: number;
}

/**
 * One session per partition while it is called often: all calls on it are billed as one request. But an open session keeps
 * the object awake, and a second of that is billed like ten requests. So a call that comes within
 * PARTITION_SESSION_IDLE_MS of the one before it opens a session, which is let go when it has been idle for as long.
 */
export class PartitionSessions implements Leaders {
  readonly #stubs: PartitionStubs;
  readonly #callers = new Map<PartitionStub, Caller>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(stubs: PartitionStubs) {
    this.#stubs = stubs;
  }

  async call<T>(topic: Topic, partition: number, method: (leader: LeaderRpc) => Promise<T>): Promise<T> {
    const caller = this.#callerOf(topic, partition);
    const { session, opened } = caller;
    caller.callsUnderWay++;
    try {
      const answer = await method(opened ?? session ?? caller.stub);
      if (session !== undefined && opened === undefined) await this.#hasOpened(caller, session);
      return answer;
    } catch (error) {
      this.#letGo(caller);
      this.#stubs.drop(topic, partition, caller.stub);
      throw error;
    } finally {
      caller.callsUnderWay--;
      caller.usedMs = Date.now();
    }
  }

  /** Sessions that are open. */
  get size(): number {
    let size = 0;
    for (const { session } of this.#callers.values()) if (session !== undefined) size++;
    return size;
  }

  /** Lets go of all sessions, for good. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const caller of this.#callers.values()) this.#letGo(caller);
  }

  #callerOf(topic: Topic, partition: number): Caller {
    const stub = this.#stubs.of(topic, partition);
    const known = this.#callers.get(stub);
    if (known === undefined) {
      const caller = {
        topic,
        partition,
        stub,
        session: undefined,
        opened: undefined,
        callsUnderWay: 0,
        usedMs: 0,
      };
      if (!this.#isClosed) this.#callers.set(stub, caller);
      this.#timer ??= this.#isClosed ? undefined : setTimeout(() => this.#sweep(), PARTITION_SESSION_IDLE_MS);
      return caller;
    }
    if (known.session === undefined) {
      known.session = stub.session();
      // A call on it fails likewise.
      known.session.then(
        () => {},
        () => {},
      );
    }
    return known;
  }

  /** Whatever stood behind the opening went on before the first of its answers came back: nothing can be overtaken now. */
  async #hasOpened(caller: Caller, session: Opening): Promise<void> {
    const opened = await session;
    if (caller.session === session) caller.opened = opened;
  }

  #sweep(): void {
    const idleSinceMs = Date.now() - PARTITION_SESSION_IDLE_MS;
    for (const caller of this.#callers.values()) {
      if (caller.callsUnderWay === 0 && caller.usedMs <= idleSinceMs) this.#letGo(caller);
    }
    const isIdle = this.#callers.size === 0;
    this.#timer = isIdle ? undefined : setTimeout(() => this.#sweep(), PARTITION_SESSION_IDLE_MS);
  }

  #letGo(caller: Caller): void {
    this.#callers.delete(caller.stub);
    caller.session?.then(
      (opened) => opened[Symbol.dispose](),
      () => {},
    );
    caller.session = undefined;
    caller.opened = undefined;
  }
}
