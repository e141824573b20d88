/** A member by WebSocket: it is told what it is to have (docs/groups.md). */

import { once } from "node:events";
import { WebSocket } from "ws";
import { isFailure } from "../../src/model/errors.ts";
import {
  type AssignmentMessage,
  encodeMemberMessage,
  type MemberMessage,
  parseCoordinatorMessage,
} from "../../src/subscribe/group-protocol.ts";
import { JSON_SUBPROTOCOL } from "../../src/subscribe/protocol.ts";
import type { GroupMember, MemberOptions } from "./group-member.ts";

export class NativeMember implements GroupMember {
  readonly name: string;
  readonly #options: MemberOptions;
  readonly #socket: WebSocket;
  readonly #owned = new Set<number>();
  readonly #left = Promise.withResolvers<void>();
  #isLeaving = false;

  static async start(options: MemberOptions): Promise<NativeMember> {
    const url = `${options.url.replace("http", "ws")}/v1/groups/${options.group}/subscribe`;
    const socket = new WebSocket(url, [JSON_SUBPROTOCOL], { perMessageDeflate: false });
    const member = new NativeMember(options, socket);
    await once(socket, "open");
    member.#send({ type: "join", topics: [options.topic] });
    return member;
  }

  private constructor(options: MemberOptions, socket: WebSocket) {
    this.name = options.name;
    this.#options = options;
    this.#socket = socket;
    socket.on("message", (data) => this.#heard(String(data)));
    socket.on("error", (error) => options.owners.fail(error));
  }

  async leave(): Promise<void> {
    this.#isLeaving = true;
    for (const partition of this.#owned) this.#options.owners.lost(partition, this.name);
    this.#send({ type: "leave" });
    await this.#left.promise;
    this.#socket.terminate();
  }

  #send(message: MemberMessage): void {
    this.#socket.send(encodeMemberMessage(message));
  }

  #heard(text: string): void {
    const message = parseCoordinatorMessage(text);
    if (message === undefined) return;
    if (isFailure(message)) this.#options.owners.fail(message.message);
    else if (message.type === "assignment") this.#assigned(message);
    else if (message.type === "error") this.#options.owners.fail(message.error.message);
    else if (message.type === "left") this.#left.resolve();
  }

  #assigned({ assigned, revoke, member_epoch, more }: AssignmentMessage): void {
    if (this.#isLeaving) return;
    const { owners } = this.#options;
    for (const { partition } of revoke) {
      this.#owned.delete(partition);
      owners.lost(partition, this.name);
    }
    for (const { partition } of assigned) {
      this.#owned.add(partition);
      owners.gained(partition, this.name);
    }
    // Of as many messages as it may have, the last one.
    if (revoke.length > 0 && !more) this.#send({ type: "revoked", member_epoch });
  }
}
