import { describe, expect, test } from "vitest";
import { byteStream, type Sending, textStream } from "../../src/http/text-stream.ts";

/** Somebody else needs the memory whenever the test says so. */
function sending() {
  let breakOff = () => {};
  const told: string[] = [];
  const watched: Sending = {
    progress: () => told.push("progress"),
    release: () => told.push("release"),
    breakOffBy: (given) => {
      breakOff = given;
    },
  };
  return { watched, told, breakOff: () => breakOff() };
}

function* numbers(held: { isHeld: boolean }): Generator<string> {
  try {
    for (let number = 0; number < 1_000_000; number++) yield `${number}\n`;
  } finally {
    held.isHeld = false;
  }
}

describe("an answer made while it is sent", () => {
  test("tells of its progress and of its end", async () => {
    const { watched, told } = sending();
    await new Response(textStream(["a", "b"], watched)).text();
    expect(told).toEqual(["progress", "release"]);
  });

  test("lets go at once when it is broken off, and its reader does not take it for a whole one", async () => {
    const { watched, told, breakOff } = sending();
    const held = { isHeld: true };
    const reader = textStream(numbers(held), watched).getReader();
    await reader.read();
    breakOff();
    expect(held.isHeld).toBe(false);
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow(/Nothing was taken/);
    expect(told.at(-1)).toBe("release");
  });
});

describe("an answer of bytes", () => {
  const bytes = () => new Uint8Array(1_000_000).map((_, index) => index % 251);

  test("arrives whole, and its buffer is free", async () => {
    const { watched, told } = sending();
    const given = bytes();
    expect(new Uint8Array(await new Response(byteStream(given, watched)).arrayBuffer())).toEqual(bytes());
    await expect.poll(() => told.at(-1)).toBe("release");
    expect(given.length).toBe(0);
  });

  test("frees its buffer at once when it is broken off, and does not end well", async () => {
    const { watched, told, breakOff } = sending();
    const given = bytes();
    const reader = byteStream(given, watched).getReader();
    await reader.read();
    breakOff();
    expect(given.length).toBe(0);
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
    await expect.poll(() => told.at(-1)).toBe("release");
  });
});
