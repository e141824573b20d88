/** Values of so many bytes, each another. The first 8 bytes may carry a time. */
export function valuesOf(count: number, bytes: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => printable(bytes, index));
}

export function printable(bytes: number, seed: number): Uint8Array {
  let state = seed * 2_654_435_761 + 1;
  return new Uint8Array(bytes).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return 32 + ((state >>> 16) % 95);
  });
}
