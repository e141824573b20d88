/** The parts one after another, in a buffer of their own. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}

/**
 * Frees what holds these bytes at once, where they are all of it. A garbage collector knows an ArrayBuffer as a few bytes
 * and lets tens of megabytes of them pile up; whoever owns a large one and is done with it says so here.
 */
export function releaseBytes(bytes: Uint8Array): void {
  if (bytes.buffer.byteLength === bytes.byteLength) releaseBuffer(bytes);
}

/** Frees the whole buffer that these bytes lie in, as {@link releaseBytes}: nothing else in it may be needed. */
export function releaseBuffer({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
