/**
 * The minimal pipe: frames from TCP to a bare object and back, unread. A frame is an int32 length (which does not count
 * itself), an int32 that says which object, and what that object inserts. Answers are an int32 length and 8 bytes, in
 * order. This, and not the object alone, is what a gateway in the same thread could reach.
 */

import type { PartitionLog } from "./bare.ts";

const LENGTH_BYTES = 4;
const TARGET_BYTES = 4;
const CHUNK_BYTES = 16 * 1024;
const IN_FLIGHT_MAX = 100;

export async function pipe(socket: Socket, namespace: DurableObjectNamespace<PartitionLog>): Promise<void> {
  const reader = socket.readable.getReader({ mode: "byob" });
  const writer = socket.writable.getWriter();
  const logs = new Map<number, DurableObjectStub<PartitionLog>>();
  const answers: Promise<number>[] = [];
  let changed = Promise.withResolvers<void>();
  let hasEnded = false;
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const answering = (async () => {
    for (;;) {
      const [next] = answers;
      if (next === undefined) {
        if (hasEnded) return;
        await changed.promise;
        continue;
      }
      const offset = await next;
      const answer = new DataView(new ArrayBuffer(LENGTH_BYTES + 8));
      answer.setInt32(0, 8);
      answer.setFloat64(LENGTH_BYTES, offset);
      await writer.write(new Uint8Array(answer.buffer));
      answers.shift();
      wake();
    }
  })();
  try {
    for await (const frame of frames(reader)) {
      const target = new DataView(frame.buffer, frame.byteOffset).getInt32(0);
      let log = logs.get(target);
      if (log === undefined) {
        log = namespace.getByName(`bare-${target}`);
        logs.set(target, log);
      }
      answers.push(log.append(frame.slice(TARGET_BYTES)));
      wake();
      while (answers.length >= IN_FLIGHT_MAX) await changed.promise;
    }
  } finally {
    hasEnded = true;
    wake();
    await answering;
    await writer.close().catch(() => undefined);
  }
}

/** A frame that lies in its chunk is a view of it; a larger one is read into a buffer of its own. */
async function* frames(reader: ReadableStreamBYOBReader): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0);
  for (;;) {
    while (rest.length < LENGTH_BYTES) {
      const { value, done } = await reader.read(new Uint8Array(CHUNK_BYTES));
      if (done || value === undefined) return;
      rest = rest.length === 0 ? value : joined(rest, value);
    }
    const length = new DataView(rest.buffer, rest.byteOffset).getInt32(0);
    const end = LENGTH_BYTES + length;
    if (rest.length >= end) {
      yield rest.subarray(LENGTH_BYTES, end);
      rest = rest.subarray(end);
      continue;
    }
    const begun = rest.length - LENGTH_BYTES;
    const whole = new Uint8Array(length);
    whole.set(rest.subarray(LENGTH_BYTES));
    rest = new Uint8Array(0);
    const left = new Uint8Array(whole.buffer, begun, length - begun);
    const { value, done } = await reader.readAtLeast(left.length, left);
    if (done || value === undefined) return;
    yield new Uint8Array(value.buffer);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
