import { expect, test } from "vitest";
import { RemoteReads } from "../../src/cluster/remote-reads.ts";
import {
  READ_BYTES_MAX,
  REMOTE_READ_BYTES_IN_FLIGHT_MAX,
  REMOTE_READ_MS_MAX,
} from "../../src/model/limits.ts";

const never = () => new Promise<never>(() => {});

function fill(reads: RemoteReads): void {
  for (let bytes = 0; bytes < REMOTE_READ_BYTES_IN_FLIGHT_MAX; bytes += READ_BYTES_MAX) {
    void reads.run(READ_BYTES_MAX, never);
  }
}

test("reads of R2 get what they ask for, up to the limit of one read", async () => {
  const reads = new RemoteReads();
  expect(await reads.run(1_000, async (bytes) => bytes)).toBe(1_000);
  expect(await reads.run(READ_BYTES_MAX + 1, async (bytes) => bytes)).toBe(READ_BYTES_MAX);
});

test("reads are refused while those under way may bring as much as the isolate holds", async () => {
  const reads = new RemoteReads();
  fill(reads);
  expect(await reads.run(1, async (bytes) => bytes)).toMatchObject({ error: "THROTTLING_QUOTA_EXCEEDED" });
});

test("a read that has ended makes room", async () => {
  const reads = new RemoteReads();
  for (let i = 0; i < 100; i++) await reads.run(READ_BYTES_MAX, async () => "read");
  expect(await reads.run(1, async (bytes) => bytes)).toBe(1);
});

test("reads whose request was dropped by the platform do not take up room for ever", async () => {
  let nowMs = 0;
  const reads = new RemoteReads(() => nowMs);
  fill(reads);
  nowMs = REMOTE_READ_MS_MAX;
  expect(await reads.run(1, async (bytes) => bytes)).toBe(1);
});
