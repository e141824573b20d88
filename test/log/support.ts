import { crc32c } from "../../src/log/crc32c.ts";
import { EdgelogError } from "../../src/model/errors.ts";

/** The same batch with the CRC that its bytes have now: for changes that the CRC shall not give away. */
export function resealed(batch: Uint8Array): Uint8Array {
  new DataView(batch.buffer, batch.byteOffset).setUint32(17, crc32c(batch, 21));
  return batch;
}

/** The code of the EdgelogError that the work throws, "none" if it throws nothing; anything else goes on up. */
export function errorOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof EdgelogError) return error.code;
    throw error;
  }
  return "none";
}

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
