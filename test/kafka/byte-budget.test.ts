import { expect, test, vi } from "vitest";
import { ByteBudget } from "../../src/kafka/byte-budget.ts";

test("a large share is not passed over by small ones that came later", async () => {
  const budget = new ByteBudget(10);
  const taken: string[] = [];
  budget.take(8);
  const large = budget.takeInTurn(10).then(() => taken.push("large"));
  const small = budget.takeInTurn(1).then(() => taken.push("small"));
  budget.give(8);
  await large;
  budget.give(10);
  await small;
  expect(taken).toEqual(["large", "small"]);
});

test("a share that nobody waits for any more holds up nobody", async () => {
  vi.useFakeTimers();
  const budget = new ByteBudget(10);
  budget.take(10);
  void budget.takeInTurn(10);
  // As when the connection's context ends: its timers never fire.
  vi.clearAllTimers();
  budget.give(5);
  const other = budget.takeInTurn(5);
  await vi.advanceTimersByTimeAsync(10_000);
  await other;
  expect(budget.left).toBe(0);
  vi.useRealTimers();
});
