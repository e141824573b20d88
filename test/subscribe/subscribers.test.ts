import { describe, expect, it } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import {
  leaderNoticesRequest,
  parseLeaderSubscription,
  REMOTE_START_STATUS,
  RESUME_OFFSET_HEADER,
} from "../../src/subscribe/leader-request.ts";
import { CLOSE_RESUME, encodeClientMessage, resumeOffset } from "../../src/subscribe/protocol.ts";
import { UnsentBudget } from "../../src/subscribe/unsent-budget.ts";
import { Partition, type TestSocket } from "./support.ts";

const KiB = 1024;

function counted(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `value ${from + index}`);
}

function types(socket: TestSocket): string[] {
  return socket.sent.map((sent) => (typeof sent === "string" ? JSON.parse(sent).type : "frame"));
}

describe("a subscriber", () => {
  it("gets the batches from its offset on, byte for byte, then those that are appended", async () => {
    const partition = new Partition();
    const first = partition.log.append(["a", "b"]);
    const second = partition.log.append(["c"]);
    const socket = partition.subscribe({ offset: "earliest" });
    const third = partition.log.append(["d"]);
    partition.subscribers.logEndMoved();

    expect(types(socket)).toEqual(["frame", "caught_up", "frame"]);
    expect(socket.frames().map(({ partition: _, batches, ...position }) => position)).toEqual([
      { from: 0, next: 3, highWatermark: 3 },
      { from: 3, next: 4, highWatermark: 4 },
    ]);
    expect(socket.frames()[0]?.batches).toEqual(new Uint8Array([...first, ...second]));
    expect(socket.frames()[1]?.batches).toEqual(third);
  });

  it("that begins at the end is told where that is", () => {
    const partition = new Partition();
    partition.log.append(["a", "b"]);
    const socket = partition.subscribe({ offset: "latest" });
    expect(socket.messages()).toEqual([{ type: "caught_up", partition: 0, next: 2, high_watermark: 2 }]);
  });

  it("that begins within a batch gets the whole batch, and is told from where on it counts", () => {
    const partition = new Partition();
    partition.append("a", "b", "c");
    const binary = partition.subscribe({ offset: 1 });
    const json = partition.subscribe({ offset: 1, format: "json" });
    expect(binary.frames()).toMatchObject([{ from: 1, next: 3 }]);
    expect(binary.values(1)).toEqual(["b", "c"]);
    expect(json.recordMessages()).toMatchObject([
      {
        from: 1,
        next: 3,
        records: [
          { offset: 1, value: "b" },
          { offset: 2, value: "c" },
        ],
      },
    ]);
  });

  it("gets nothing beyond its credit, and goes on where it was when it gives more", async () => {
    const partition = new Partition();
    const values = counted(0, 100);
    const batchBytes = partition.log.append([values[0] ?? ""]).length;
    for (const value of values.slice(1)) partition.log.append([value]);
    const socket = partition.subscribe({ offset: 0, creditBytes: batchBytes * 10 });
    await partition.waits.settle();
    expect(socket.batchBytes()).toBeGreaterThan(0);
    expect(socket.batchBytes()).toBeLessThanOrEqual(batchBytes * 10);
    await partition.readAll([socket]);
    expect(socket.values(0)).toEqual(values);
  });

  it("with some credit gets a batch that is larger than it, and then nothing until the debt is paid", async () => {
    const partition = new Partition();
    const big = "x".repeat(100 * KiB);
    partition.append(big);
    partition.append("next");
    const socket = partition.subscribe({ offset: 0, creditBytes: 1 });
    await partition.waits.settle();
    expect(socket.values(0)).toEqual([big]);
    const owed = socket.batchBytes() - 1;
    partition.credit(socket, owed);
    expect(socket.frames()).toHaveLength(1);
    partition.credit(socket, 1);
    expect(socket.values(0)).toEqual([big, "next"]);
  });

  it("without credit gets nothing, though it is told that it is at the end", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ creditBytes: 0 });
    partition.append("a");
    expect(types(socket)).toEqual(["caught_up"]);
    partition.credit(socket, 1);
    expect(socket.values(0)).toEqual(["a"]);
  });

  it("goes on after hibernation at the offset and with the credit that its attachment holds", async () => {
    const partition = new Partition();
    const socket = partition.subscribe({ creditBytes: 150 });
    partition.append("a");
    partition.append("b");
    partition.wake();
    partition.append("c");
    expect(socket.values(0)).toEqual(["a", "b", "c"]);
    // Three batches of about 70 bytes are more than it granted.
    partition.wake();
    partition.append("d");
    expect(socket.values(0)).toEqual(["a", "b", "c"]);
    partition.wake();
    partition.credit(socket, 300);
    expect(socket.values(0)).toEqual(["a", "b", "c", "d"]);
    expect(types(socket).filter((type) => type === "caught_up")).toHaveLength(1);
  });

  it("who falls behind while others read on catches up without gap or repeat", async () => {
    const partition = new Partition();
    const slow = partition.subscribe({ creditBytes: 500 });
    const quick = partition.subscribe();
    const values = counted(0, 200);
    for (const value of values) {
      partition.append(value);
      await partition.readAll([quick]);
    }
    expect(quick.values(0)).toEqual(values);
    expect(slow.values(0).length).toBeLessThan(20);
    await partition.readAll([slow]);
    expect(slow.values(0)).toEqual(values);
  });

  it("whose position has left the local log is closed with the offset to resume at", async () => {
    const partition = new Partition();
    partition.append(...counted(0, 5));
    const socket = partition.subscribe({ offset: 2, creditBytes: 0 });
    partition.append(...counted(5, 10));
    partition.log.localStart = 5;
    partition.credit(socket, 1_000);
    expect(socket.closed?.code).toBe(CLOSE_RESUME);
    expect(resumeOffset(socket.closed?.reason ?? "")).toBe(2);
    expect(partition.subscribers.count()).toBe(0);
  });

  it("that wants to begin in R2 is not upgraded but told the offset", () => {
    const partition = new Partition();
    partition.append(...counted(0, 10));
    partition.log.start = 2;
    partition.log.localStart = 5;
    const refused = partition.request({ offset: "earliest" });
    expect(refused.status).toBe(REMOTE_START_STATUS);
    expect(refused.headers.get(RESUME_OFFSET_HEADER)).toBe("2");
    expect(partition.subscribers.count()).toBe(0);
  });

  it.each([1, 11])(
    "that asks for offset %i of a log from 2 to 10 is told its bounds and closed",
    (offset) => {
      const partition = new Partition();
      partition.append(...counted(0, 10));
      partition.log.start = 2;
      const socket = partition.subscribe({ offset });
      expect(socket.messages()).toMatchObject([
        { type: "error", error: { code: "OFFSET_OUT_OF_RANGE" }, log_start_offset: 2, high_watermark: 10 },
      ]);
      expect(socket.closed).toEqual({ code: 4416, reason: "OFFSET_OUT_OF_RANGE" });
    },
  );

  it("whose records were deleted before it got them is told so and closed", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ creditBytes: 0 });
    partition.append(...counted(0, 10));
    partition.log.start = 4;
    partition.credit(socket, 1_000);
    expect(socket.messages().at(-1)).toMatchObject({ type: "error", log_start_offset: 4 });
    expect(socket.closed?.code).toBe(4416);
  });

  it.each([
    "",
    "credit",
    "[]",
    '{"type":"credit"}',
    '{"type":"credit","bytes":0}',
    '{"type":"credit","bytes":1.5}',
    '{"type":"credit","bytes":99999999999}',
    '{"type":"subscribe","partitions":[{"partition":0,"offset":0}]}',
    '{"type":"unknown"}',
    `{"type":"credit","bytes":1,"padding":"${"x".repeat(70_000)}"}`,
    new ArrayBuffer(8),
  ])("that sends nonsense is told what is wrong and closed (%#)", (data) => {
    const partition = new Partition();
    const socket = partition.subscribe();
    partition.subscribers.message(socket, data);
    expect(socket.messages().at(-1)).toMatchObject({ type: "error", error: { code: "INVALID_REQUEST" } });
    expect(socket.closed).toEqual({ code: 4400, reason: "INVALID_REQUEST" });
    partition.append("a");
    expect(socket.frames()).toEqual([]);
  });

  it("that grants more credit than a socket may have is closed", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ creditBytes: 16 * KiB * KiB });
    partition.credit(socket, 1);
    expect(socket.closed?.code).toBe(4400);
  });

  it("whose socket breaks while it is sent to is forgotten, and the others are served", () => {
    const partition = new Partition();
    const broken = partition.subscribe();
    const socket = partition.subscribe();
    broken.isBroken = true;
    partition.append("a");
    expect(socket.values(0)).toEqual(["a"]);
    expect(partition.subscribers.count()).toBe(1);
  });
});

describe("a read_committed subscriber", () => {
  const isolation = "read_committed";

  it("is one that asks for it: a Worker that knows of no choice asks for all", () => {
    const asked = (isolation: string) =>
      parseLeaderSubscription(new URLSearchParams(`partition=0&offset=latest&format=json${isolation}`));
    expect(asked("")).toMatchObject({ isolation: "read_uncommitted" });
    expect(asked("&isolation=read_committed")).toMatchObject({ isolation });
    expect(asked("&isolation=serializable")).toMatchObject({ error: "INVALID_REQUEST" });
  });

  it("gets nothing of an open transaction, nor what lies behind it, until it is decided", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ offset: "earliest", isolation });
    const other = partition.subscribe({ offset: "earliest" });
    partition.append("before");
    partition.write(1, "in it");
    partition.append("behind");
    expect(socket.values(0)).toEqual(["before"]);
    expect(other.values(0)).toEqual(["before", "in it", "behind"]);
    partition.end(1, "commit");
    expect(socket.values(0)).toEqual(["before", "in it", "behind"]);
    expect(socket.frames().at(-1)).toMatchObject({ next: 4, highWatermark: 4 });
  });

  it("gets a position and no records where all were aborted, at no cost in credit", () => {
    const partition = new Partition();
    const binary = partition.subscribe({ offset: "earliest", isolation, creditBytes: 1 });
    const json = partition.subscribe({ offset: "earliest", isolation, creditBytes: 1, format: "json" });
    partition.write(1, "aborted");
    partition.end(1, "abort");
    expect(binary.values(0)).toEqual([]);
    expect(binary.frames().at(-1)).toMatchObject({ next: 2, highWatermark: 2 });
    expect(json.recordMessages().at(-1)).toMatchObject({ next: 2, bytes: 0, records: [] });
    expect(binary.batchBytes() + json.batchBytes()).toBe(0);
    expect(partition.budget.free()).toBe(32 * KiB * KiB);
    partition.append("committed");
    expect(binary.values(0)).toEqual(["committed"]);
    expect(json.recordMessages().at(-1)).toMatchObject({ next: 3, records: [{ value: "committed" }] });
  });

  it("that begins at the latest begins before the open transaction, and is told so", () => {
    const partition = new Partition();
    partition.append("before");
    partition.write(1, "in it");
    const socket = partition.subscribe({ offset: "latest", isolation });
    expect(socket.messages()).toEqual([{ type: "caught_up", partition: 0, next: 1, high_watermark: 2 }]);
    partition.end(1, "commit");
    expect(socket.values(1)).toEqual(["in it"]);
  });

  it("that begins behind the open transaction waits until that is decided", () => {
    const partition = new Partition();
    partition.write(1, "in it");
    partition.append("behind");
    const socket = partition.subscribe({ offset: 1, isolation });
    expect(types(socket)).toEqual(["caught_up"]);
    partition.end(1, "abort");
    expect(socket.values(1)).toEqual(["behind"]);
  });

  it("waits at the leader though its position is in R2, and is sent there when there is more", () => {
    const partition = new Partition();
    partition.write(1, "in it");
    partition.append("behind");
    partition.log.localStart = 2;
    const socket = partition.subscribe({ offset: 0, isolation });
    expect(types(socket)).toEqual(["caught_up"]);
    partition.end(1, "commit");
    expect(types(socket)).toEqual(["caught_up", "resume"]);
    expect(socket.closed).toEqual({ code: CLOSE_RESUME, reason: "offset=0" });
  });

  it("is one after hibernation, too", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ isolation });
    partition.wake();
    partition.write(1, "in it");
    partition.wake();
    expect(types(socket)).toEqual(["caught_up"]);
    partition.end(1, "commit");
    expect(socket.values(0)).toEqual(["in it"]);
  });

  it("behind the log, which was cut off, is told so", () => {
    const partition = new Partition();
    partition.append("a", "b");
    const socket = partition.subscribe({ isolation });
    partition.log.end = 1;
    partition.subscribers.logEndMoved();
    expect(socket.messages().at(-1)).toMatchObject({ type: "error", error: { code: "OFFSET_OUT_OF_RANGE" } });
  });
});

describe("a subscriber in JSON", () => {
  it("gets records in the same shape as over HTTP", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ format: "json" });
    const batch = partition.log.append(["text", '{"n":12345678901234567890}']);
    partition.subscribers.logEndMoved();
    expect(socket.recordMessages()).toEqual([
      {
        type: "records",
        partition: 0,
        from: 0,
        next: 2,
        high_watermark: 2,
        bytes: batch.length,
        records: [
          { offset: 0, timestamp: 1_700_000_000_000, key: null, value: "text", headers: [] },
          {
            offset: 1,
            timestamp: 1_700_000_000_000,
            key: null,
            value: '{"n":12345678901234567890}',
            headers: [],
          },
        ],
      },
    ]);
  });

  it("gets values parsed if it asked for that, with all their digits", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ format: "json-values" });
    partition.append('{"n":\n12345678901234567890}');
    expect(socket.sent.at(-1)).toContain('"value":{"n": 12345678901234567890}');
  });

  it("is told of a batch that cannot be decoded and closed, while binary ones go on", () => {
    const partition = new Partition();
    const json = partition.subscribe({ format: "json" });
    const binary = partition.subscribe();
    const batch = encodeBatch([{ timestamp: 0, key: null, value: new Uint8Array(1_000) }], {
      compression: "gzip",
    });
    batch.fill(0xff, 70, 80);
    partition.log.appendBatch(batch, 1);
    partition.subscribers.logEndMoved();
    partition.append("after");
    expect(json.messages().at(-1)).toMatchObject({ type: "error", error: { code: "CORRUPT_MESSAGE" } });
    expect(json.closed?.code).toBe(4400);
    expect(binary.frames()).toHaveLength(2);
    expect(binary.closed).toBeUndefined();
  });

  it("gets records that expand beyond one message in several, without gap or repeat", async () => {
    const partition = new Partition();
    const values = Array.from({ length: 12 }, (_, index) =>
      String(index)
        .repeat(2 * KiB * KiB)
        .slice(0, 2_000_000),
    );
    partition.log.append(values, "gzip");
    const socket = partition.subscribe({ offset: 0, format: "json" });
    await partition.readAll([socket]);
    const messages = socket.recordMessages();
    expect(messages.length).toBeGreaterThan(1);
    const got = messages.flatMap(({ records }) => records.map(({ value }) => value));
    expect(got.map((value, index) => value === values[index])).toEqual(values.map(() => true));
    let position = 0;
    for (const { from, next } of messages) {
      expect(from).toBe(position);
      position = next;
    }
    expect(position).toBe(12);
  });

  it("is told that a record is too large for a message, and by what it can be read", () => {
    const partition = new Partition();
    const socket = partition.subscribe({ format: "json" });
    partition.log.append([new Uint8Array(9 * KiB * KiB)], "gzip");
    partition.subscribers.logEndMoved();
    expect(socket.closed).toEqual({ code: 4413, reason: "MESSAGE_TOO_LARGE" });
  });
});

describe("many subscribers", () => {
  it("at the same position share one frame, which is read and encoded once", () => {
    const partition = new Partition();
    const sockets = Array.from({ length: 900 }, () => partition.subscribe());
    const readsBefore = partition.log.reads;
    partition.append("a");
    expect(partition.log.reads - readsBefore).toBe(1);
    const [first] = sockets[0]?.sent.slice(1) ?? [];
    for (const socket of sockets) expect(socket.sent[1]).toBe(first);
  });

  it("are served in turns, so that other events come between", async () => {
    const partition = new Partition();
    const sockets = Array.from({ length: 2_500 }, () => partition.subscribe());
    partition.append("a");
    const served = () => sockets.filter((socket) => socket.frames().length > 0).length;
    expect(served()).toBe(1_000);
    await partition.waits.pass();
    expect(served()).toBe(2_000);
    partition.append("b");
    await partition.waits.settle();
    for (const socket of sockets) expect(socket.values(0)).toEqual(["a", "b"]);
  });

  it("never have more outstanding than the isolate's budget, and all of them get everything", async () => {
    const budget = new UnsentBudget(256 * KiB);
    const partition = new Partition(budget);
    const values = Array.from({ length: 50 }, (_, index) => `${index}`.padEnd(2 * KiB, "."));
    for (const value of values) partition.log.append([value]);
    const sockets = Array.from({ length: 40 }, () => partition.subscribe({ offset: 0 }));
    const credited = new Map(sockets.map((socket) => [socket, 0]));
    const owed = (socket: TestSocket) => socket.batchBytes() - (credited.get(socket) ?? 0);
    while (sockets.some((socket) => owed(socket) > 0) || partition.waits.isPending) {
      const outstanding = sockets.reduce((total, socket) => total + owed(socket), 0);
      expect(outstanding).toBeLessThanOrEqual(256 * KiB);
      for (const socket of sockets) {
        const bytes = owed(socket);
        if (bytes === 0) continue;
        credited.set(socket, socket.batchBytes());
        partition.credit(socket, bytes);
      }
      await partition.waits.pass();
    }
    for (const socket of sockets) {
      expect(socket.values(0).map(parseFloat)).toEqual(values.map(parseFloat));
    }
    expect(budget.free()).toBe(256 * KiB);
  });

  it("who read nothing leave room for those who read", async () => {
    const partition = new Partition(new UnsentBudget(1_024 * KiB));
    const idle = Array.from({ length: 20 }, () => partition.subscribe());
    const reader = partition.subscribe();
    const values = Array.from({ length: 300 }, (_, index) => `${index}`.padEnd(10 * KiB, "."));
    for (const value of values) {
      partition.append(value);
      await partition.readAll([reader]);
    }
    expect(reader.values(0).map(parseFloat)).toEqual(values.map(parseFloat));
    const held = idle.reduce((total, socket) => total + socket.batchBytes(), 0);
    expect(held).toBeLessThan(1_024 * KiB);
    expect(idle.every((socket) => types(socket).includes("credit_due"))).toBe(true);
  });

  it("who hold all memory and never credit are closed when others wait, and those go on", async () => {
    const partition = new Partition(new UnsentBudget(64 * KiB));
    const idle = Array.from({ length: 8 }, () => partition.subscribe());
    partition.append("x".repeat(10 * KiB));
    await partition.waits.pass();
    const reader = partition.subscribe({ offset: 0 });
    expect(reader.frames()).toEqual([]);
    await partition.waits.pass(1_000);
    expect(reader.frames()).toEqual([]);
    await partition.waits.pass(10_000);
    await partition.waits.pass();
    expect(reader.frames()).toHaveLength(1);
    expect(idle.some((socket) => socket.closed?.code === 4429)).toBe(true);
  });

  it("beyond the most that a partition takes are refused", () => {
    const partition = new Partition();
    partition.subscribe();
    for (let sockets = 1; sockets < 32_000; sockets++) partition.subscribers.accept(leaderNoticesRequest(1));
    expect(partition.request({}).status).toBe(429);
    const [first] = partition.sockets.all;
    if (first === undefined) throw new Error("no socket");
    partition.subscribers.close(first.socket);
    expect(partition.request({}).status).toBe(200);
  });

  it("who are closed give back what they held", () => {
    const budget = new UnsentBudget(1_024 * KiB);
    const partition = new Partition(budget);
    const socket = partition.subscribe();
    partition.append("x".repeat(10 * KiB));
    expect(budget.free()).toBeLessThan(1_024 * KiB);
    partition.subscribers.close(socket);
    expect(budget.free()).toBe(1_024 * KiB);
  });

  it("are all told and closed when the partition goes", () => {
    const partition = new Partition();
    const sockets = [partition.subscribe(), partition.subscribe()];
    partition.subscribers.closeAll({ error: "UNKNOWN_TOPIC_ID", message: "The topic is deleted." });
    for (const socket of sockets) {
      expect(socket.closed).toEqual({ code: 4404, reason: "UNKNOWN_TOPIC_ID" });
    }
    expect(partition.subscribers.count()).toBe(0);
  });
});

describe("a notice socket", () => {
  it("is told the log's ends at once and whenever one moves, also after hibernation", () => {
    const partition = new Partition();
    partition.append("a");
    partition.subscribers.accept(leaderNoticesRequest(1));
    const socket = partition.sockets.all[0]?.socket;
    partition.append("b", "c");
    partition.wake();
    partition.append("d");
    partition.log.start = 2;
    partition.subscribers.logStartMoved();
    expect(socket?.sent).toEqual(["0 1 1", "0 3 3", "0 4 4", "2 4 4"]);
    expect(partition.subscribers.count()).toBe(0);
  });

  it("may say what it likes", () => {
    const partition = new Partition();
    partition.subscribers.accept(leaderNoticesRequest(1));
    const socket = partition.sockets.all[0]?.socket;
    if (socket === undefined) throw new Error("no socket");
    partition.subscribers.message(socket, encodeClientMessage({ type: "credit", bytes: 1 }));
    expect(socket.closed).toBeUndefined();
  });
});
