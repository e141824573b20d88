import { describe, expect, test } from "vitest";
import { Screen } from "../../src/cli/screen.ts";
import { ageText, dateTime, duration } from "../../src/cli/times.ts";
import { topicAndPartitions } from "../../src/cli/topic-partitions.ts";

const HOUR_MS = 3_600_000;

describe("times as Kafka's tools take them", () => {
  test.each([
    ["2026-03-01T12:30:00.123", "2026-03-01T12:30:00.123Z"],
    ["2026-03-01T12:30:00", "2026-03-01T12:30:00Z"],
    ["2026-03-01T12:30", "2026-03-01T12:30:00Z"],
    ["2026-03-01", "2026-03-01T00:00:00Z"],
    ["2026-03-01T12:30:00Z", "2026-03-01T12:30:00Z"],
    ["2026-03-01T12:30:00+02:00", "2026-03-01T10:30:00Z"],
    ["2026-03-01T12:30:00.5-0130", "2026-03-01T14:00:00.5Z"],
    ["2026-03-01T12:30:00+02", "2026-03-01T10:30:00Z"],
  ])("%s is a time, in UTC unless it says otherwise", (text, meant) => {
    expect(dateTime(text)).toBe(Date.parse(meant));
  });

  test.each(["", "yesterday", "2026", "2026-13-01T00:00:00", "01.03.2026", "12:30", "2026-03-01 12:30"])(
    "%j is no time",
    (text) => expect(() => dateTime(text)).toThrow("2026-03-01T12:30:00"),
  );

  test.each([
    ["PT10M", HOUR_MS / 6],
    ["P1DT12H", 36 * HOUR_MS],
    ["pt1h30m", 1.5 * HOUR_MS],
    ["PT0.5S", 500],
    ["P0D", 0],
  ])("%s is a duration", (text, ms) => expect(duration(text)).toBe(ms));

  test.each(["", "P", "PT", "P1DT", "1h", "P1Y", "P1M", "PT-1H", "PT1H ", "P1W"])(
    "%j is no duration",
    (text) => expect(() => duration(text)).toThrow("PT10M"),
  );

  test.each([
    [0, "0.0 s"],
    [432, "0.4 s"],
    [12_900, "12 s"],
    [200_000, "3 min 20 s"],
    [5 * HOUR_MS + 120_000, "5 h 2 min"],
    [2 * HOUR_MS, "2 h"],
    [99 * HOUR_MS, "4 d 3 h"],
  ])("%d ms are read as %s", (ms, text) => expect(ageText(ms)).toBe(text));
});

test("a topic may name some of its partitions", () => {
  expect(topicAndPartitions("orders")).toEqual({ topic: "orders", partitions: null });
  expect(topicAndPartitions("orders:0,12")).toEqual({ topic: "orders", partitions: [0, 12] });
  for (const wrong of ["", ":1", "orders:", "orders:a", "orders:1,"]) {
    expect(() => topicAndPartitions(wrong)).toThrow("orders:0,3");
  }
});

test("a screen draws over what it drew before, and never more than there is room for", () => {
  const terminal = { rows: 4, columns: 6 };
  const screen = new Screen(terminal);
  expect(screen.room).toBe(3);
  expect(screen.draw(["one", "longer than it is wide"])).toBe("\r\x1b[Jone\nlonge\n");
  expect(screen.draw(["1", "2", "3", "4"])).toBe("\x1b[2A\r\x1b[J1\n2\n3\n");
  terminal.rows = 3;
  expect(screen.draw(["x"])).toBe("\x1b[3A\r\x1b[Jx\n");
});
