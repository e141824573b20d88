import { encodeResponse, type RequestHeader, readRequest } from "./frame.ts";
import type { Api, RequestOf, ResponseOf } from "./schema.ts";
import type { Session } from "./session.ts";
import type { WireReader } from "./wire-reader.ts";

/** What a handler knows besides the request. */
export interface Call {
  readonly version: number;
  readonly clientId: string | null;
  readonly session: Session;
  /** `release` is called when the answer has been sent, or will never be. */
  hold(release: () => void): void;
}

/** A frame in parts. */
export interface Answer {
  readonly parts: readonly Uint8Array[];
  /** To be called when it has been sent, or will not be. */
  release(): void;
}

/**
 * Which earlier requests of its connection a request waits for. Kafka works on one at a time; here nothing is noticed of
 * the difference: `serial` waits for all but fetches, `produce` and `fetch` only for the serial ones, so that produces go
 * to different partitions at once and a waiting fetch holds up nobody.
 */
export type Turn = "serial" | "produce" | "fetch";

/** Answers one API. */
export interface Handler {
  readonly api: Api;
  readonly turn: Turn;
  /** undefined: there is no answer. Reads the request before it first waits. */
  answer(header: RequestHeader, reader: WireReader, session: Session): Promise<Answer | undefined>;
}

/** `handle` returns undefined where the protocol has no answer. What it throws closes the connection. */
export function handler<A extends Api>(
  api: A,
  handle: (request: RequestOf<A>, call: Call) => Promise<ResponseOf<A> | undefined>,
  turn: Turn = "serial",
): Handler {
  return {
    api,
    turn,
    async answer({ apiVersion: version, correlationId, clientId }, reader, session) {
      const releases: (() => void)[] = [];
      const release = () => {
        for (const one of releases.splice(0)) one();
      };
      try {
        const request = readRequest(api, version, reader);
        const hold = (one: () => void) => releases.push(one);
        const response = await handle(request, { version, clientId, session, hold });
        if (response !== undefined) {
          return { parts: encodeResponse(api, version, correlationId, response), release };
        }
        release();
        return undefined;
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}
