/** What the faulty Worker and the harness say to each other. */

/** Begins a log line that tells what the platform is doing. */
export const EVENT_MARK = "@crash ";

/** GET: {@link StoredObject}s, all that are in the bucket. */
export const OBJECTS_PATH = "/crash/objects";
/** GET ?object=<name of the Durable Object>: {@link StoredSegment}s, its rows. */
export const SEGMENTS_PATH = "/crash/segments";

export interface StoredObject {
  readonly key: string;
  readonly size: number;
}

export interface StoredSegment {
  readonly baseOffset: number;
  readonly generation: number;
  readonly bytes: number;
  readonly state: number;
  readonly stateAtMs: number;
}
