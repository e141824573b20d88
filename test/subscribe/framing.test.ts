import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isFailure } from "../../src/model/errors.ts";
import { decodeFrame, encodeFrame, FRAME_HEADER_BYTES } from "../../src/subscribe/frame.ts";
import { formatPositions, parsePositions, startFromQuery } from "../../src/subscribe/position.ts";
import {
  type ClientMessage,
  chooseSubprotocol,
  closeCodeOf,
  encodeCaughtUp,
  encodeClientMessage,
  encodeError,
  encodeRecordsMessage,
  parseClientMessage,
  parseServerMessage,
  resumeOffset,
  resumeReason,
} from "../../src/subscribe/protocol.ts";

const offset = fc.maxSafeNat();
const partition = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const frame = fc.record({
  partition,
  from: offset,
  next: offset,
  highWatermark: offset,
  batches: fc.uint8Array({ maxLength: 200 }),
});

describe("a binary data frame", () => {
  it("is read as it was written, wherever it lies in a buffer", () => {
    fc.assert(
      fc.property(frame, fc.nat(20), (written, shift) => {
        const bytes = encodeFrame(written);
        const shifted = new Uint8Array(bytes.length + shift);
        shifted.set(bytes, shift);
        expect(decodeFrame(shifted.subarray(shift))).toEqual(written);
        expect(decodeFrame(bytes.buffer)).toEqual(written);
      }),
    );
  });

  it("carries the batches byte for byte behind 32 bytes of header", () => {
    fc.assert(
      fc.property(frame, (written) => {
        expect(encodeFrame(written).subarray(FRAME_HEADER_BYTES)).toEqual(written.batches);
      }),
    );
  });

  it("that is torn, or of an unknown version, is an error; one of an unknown type is skipped", () => {
    const bytes = encodeFrame({
      partition: 0,
      from: 0,
      next: 0,
      highWatermark: 0,
      batches: new Uint8Array(),
    });
    expect(() => decodeFrame(bytes.subarray(1))).toThrow("31 bytes");
    expect(decodeFrame(bytes.with(1, 2))).toBeUndefined();
    expect(() => decodeFrame(bytes.with(0, 2))).toThrow("version 2");
  });
});

describe("a client's message", () => {
  const start = fc.oneof(
    fc.record({ offset: fc.oneof(offset, fc.constantFrom("earliest" as const, "latest" as const)) }),
    fc.record({ timestamp: offset }),
  );
  const message: fc.Arbitrary<ClientMessage> = fc.oneof(
    fc.record({ type: fc.constant("credit" as const), bytes: fc.integer({ min: 1, max: 16 * 1024 * 1024 }) }),
    fc.record(
      {
        type: fc.constant("subscribe" as const),
        partitions: fc
          .uniqueArray(partition, { minLength: 1, maxLength: 5 })
          .chain((partitions) =>
            fc.tuple(...partitions.map((index) => start.map((begin) => ({ partition: index, ...begin })))),
          ),
        credit_bytes: fc.nat(16 * 1024 * 1024),
      },
      { requiredKeys: ["type", "partitions"] },
    ),
  );

  it("is read as it was written", () => {
    fc.assert(
      fc.property(message, (written) => {
        expect(parseClientMessage(encodeClientMessage(written))).toEqual(written);
      }),
    );
  });

  it("of any other form is refused, never an exception", () => {
    const nonsense = fc.oneof(
      fc.string(),
      fc.json(),
      fc.uint8Array(),
      fc.record({ type: fc.constantFrom("credit", "subscribe"), bytes: fc.anything() }).map((o) => text(o)),
      fc
        .record({ type: fc.constant("subscribe"), partitions: fc.array(fc.anything()) })
        .map((object) => text(object)),
    );
    fc.assert(
      fc.property(nonsense, (data) => {
        const parsed = parseClientMessage(data);
        if (!isFailure(parsed)) expect(parseClientMessage(encodeClientMessage(parsed))).toEqual(parsed);
        else expect(parsed.error).toBe("INVALID_REQUEST");
      }),
    );
  });

  it("that names a partition twice, or both an offset and a time, is refused", () => {
    for (const partitions of [
      [
        { partition: 1, offset: 0 },
        { partition: 1, offset: 1 },
      ],
      [{ partition: 1, offset: 0, timestamp: 0 }],
      [],
      [{ partition: 2 ** 31, offset: 0 }],
      [{ partition: 0, offset: -1 }],
    ]) {
      expect(parseClientMessage(JSON.stringify({ type: "subscribe", partitions }))).toMatchObject({
        error: "INVALID_REQUEST",
      });
    }
  });

  function text(value: unknown): string {
    try {
      return JSON.stringify(value);
    } catch {
      return "";
    }
  }
});

describe("a server's message", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(frame, offset, ({ partition, from, next, highWatermark }, bytes) => {
        const position = { partition, from, next, highWatermark };
        expect(parseServerMessage(encodeRecordsMessage(position, bytes, '{"offset":1}'))).toEqual({
          type: "records",
          partition,
          from,
          next,
          high_watermark: highWatermark,
          bytes,
          records: [{ offset: 1 }],
        });
        expect(parseServerMessage(encodeCaughtUp(partition, next, highWatermark))).toEqual({
          type: "caught_up",
          partition,
          next,
          high_watermark: highWatermark,
        });
      }),
    );
    const failed = { error: "OFFSET_OUT_OF_RANGE", message: "no" } as const;
    expect(
      parseServerMessage(encodeError(failed, { partition: 3, logStartOffset: 1, highWatermark: 2 })),
    ).toEqual({
      type: "error",
      partition: 3,
      error: { code: "OFFSET_OUT_OF_RANGE", message: "no", retriable: false },
      log_start_offset: 1,
      high_watermark: 2,
    });
  });

  it("of a type that is not known is skipped, and what is no message is refused", () => {
    expect(parseServerMessage('{"type":"something new"}')).toBeUndefined();
    expect(parseServerMessage("pong")).toBeUndefined();
    for (const text of ["", "[]", "1", '{"type":"records"}', '{"type":"error","error":{"code":"NO_SUCH"}}']) {
      expect(parseServerMessage(text)).toMatchObject({ error: "INVALID_REQUEST" });
    }
  });
});

describe("positions", () => {
  it("in an event id are read as they were written, in the order of their partitions", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(partition, offset), { minLength: 1, selector: ([p]) => p }),
        (entries) => {
          const parsed = parsePositions(formatPositions(new Map(entries)));
          if (isFailure(parsed)) throw new Error(parsed.message);
          expect([...parsed]).toEqual(entries.toSorted(([a], [b]) => a - b));
        },
      ),
    );
    expect(
      formatPositions(
        new Map([
          [1, 30],
          [0, 12],
        ]),
      ),
    ).toBe("0:12,1:30");
  });

  it.each(["", "0", "0:", ":1", "0:1,", "0:1,0:2", "-1:0", "0:1e3", "0:99999999999999999", "a:b"])(
    "that are malformed are refused (%j)",
    (text) => {
      expect(parsePositions(text)).toMatchObject({ error: "INVALID_REQUEST" });
    },
  );

  it.each([
    ["offset=earliest", { offset: "earliest" }],
    ["offset=latest", { offset: "latest" }],
    ["offset=12", { offset: 12 }],
    ["timestamp=5", { timestamp: 5 }],
    ["", undefined],
  ])("are taken from a query (%j)", (query, start) => {
    expect(startFromQuery(new URLSearchParams(query))).toEqual(start);
  });

  it.each([
    "offset=",
    "offset=-1",
    "offset=1.5",
    "offset=x",
    "timestamp=",
    "timestamp=-1",
    "offset=1&timestamp=1",
  ])("that a query words wrongly are refused (%j)", (query) => {
    expect(startFromQuery(new URLSearchParams(query))).toMatchObject({ error: "INVALID_REQUEST" });
  });
});

describe("closing", () => {
  it("tells the offset to resume at, and nothing else is taken for one", () => {
    expect(resumeOffset(resumeReason(42))).toBe(42);
    for (const reason of ["", "offset=", "offset=-1", "offset=1x", "42"])
      expect(resumeOffset(reason)).toBeUndefined();
  });

  it("for an error has the code 4000 + its HTTP status", () => {
    expect(closeCodeOf("INVALID_REQUEST")).toBe(4400);
    expect(closeCodeOf("OFFSET_OUT_OF_RANGE")).toBe(4416);
  });
});

it("the first subprotocol of ours among those offered is chosen", () => {
  expect(chooseSubprotocol("edgelog.token.x, edgelog.v1.binary, edgelog.v1.json")).toBe("edgelog.v1.binary");
  expect(chooseSubprotocol("graphql-ws")).toBeUndefined();
  expect(chooseSubprotocol(null)).toBeUndefined();
});
