import { expect, test } from "vitest";
import { onFreePorts } from "../../src/cli/ports.ts";

const taken = () =>
  new Error("did not start", { cause: Object.assign(new Error(), { code: "ERR_ADDRESS_IN_USE" }) });

test("a free port that something else takes first gives way to another", async () => {
  const tried: (readonly number[])[] = [];
  const started = await onFreePorts("127.0.0.1", [0, 0], async (ports) => {
    tried.push(ports);
    if (tried.length < 3) throw taken();
    return ports;
  });
  expect(tried).toHaveLength(3);
  expect(started).toBe(tried[2]);
  expect(started).not.toContain(0);
});

test("a port that was asked for by number is not given up for another", async () => {
  const [port = 0] = await onFreePorts("127.0.0.1", [0], async (ports) => ports);
  let starts = 0;
  const start = async () => {
    starts++;
    throw taken();
  };
  await expect(onFreePorts("127.0.0.1", [port], start)).rejects.toThrow("did not start");
  expect(starts).toBe(1);
});

test("what fails for another reason is not tried again", async () => {
  let starts = 0;
  const start = async () => {
    starts++;
    throw new Error("broken");
  };
  await expect(onFreePorts("127.0.0.1", [0], start)).rejects.toThrow("broken");
  expect(starts).toBe(1);
});
