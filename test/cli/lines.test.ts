import fc from "fast-check";
import { expect, test } from "vitest";
import { lines } from "../../src/cli/lines.ts";

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function split(chunks: readonly Uint8Array[], lineBytesMax = 1_000): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines(stream(chunks), lineBytesMax)) found.push(line.toString("latin1"));
  return found;
}

test("however a stream is cut into chunks, its lines are the same bytes", async () => {
  const byte = fc.oneof(fc.constant(0x0a), fc.integer({ min: 0, max: 255 }));
  const chunk = fc
    .uint8Array({ maxLength: 20 })
    .chain((any) => fc.array(byte, { maxLength: 20 }).map((bytes) => Uint8Array.of(...bytes, ...any)));
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 10 }), async (chunks) => {
      const whole = Buffer.concat(chunks).toString("latin1");
      const expected = whole.split("\n");
      if (expected.at(-1) === "") expected.pop();
      expect(await split(chunks)).toEqual(expected);
    }),
  );
});

test("a line that is too long is refused before it is held in memory", async () => {
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      read += 1;
      yield new Uint8Array(100).fill(0x61);
    }
  }
  const all = async (): Promise<void> => {
    for await (const line of lines(endless(), 1_000)) expect(line).toBeUndefined();
  };
  await expect(all()).rejects.toThrow("1000 bytes");
  expect(read).toBe(11);
});
