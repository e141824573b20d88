/** What JSON bodies take in memory, measured against what requests are held to take. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { requestBytes } from "../../src/cluster/in-flight.ts";
import { releaseBody } from "../../src/http/body.ts";
import { parseJson } from "../../src/http/json.ts";
import { scanValue } from "../../src/http/json-scan.ts";
import { readProduceRequest } from "../../src/http/produce-request.ts";
import { EdgelogError } from "../../src/model/errors.ts";
import { HTTP_JSON_DEPTH_MAX, HTTP_JSON_PARSED_BYTES_MAX } from "../../src/model/limits.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Bytes of live objects and buffers. */
function memory(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const list = (count: number, element: (index: number) => string) =>
  `[${Array.from({ length: count }, (_, index) => element(index)).join(",")}]`;

const SHAPES: Record<string, string> = {
  "empty objects": list(300_000, () => "{}"),
  "empty lists": list(300_000, () => "[]"),
  "lists of lists": list(200_000, () => "[[]]"),
  numbers: list(500_000, () => "0"),
  fractions: list(300_000, () => "1.5"),
  "empty strings": list(300_000, () => '""'),
  strings: list(100_000, (index) => `"string ${index}"`),
  "objects of one kind": list(100_000, (index) => `{"a":${index},"b":"${index}"}`),
  "objects all of different kinds": list(50_000, (index) => `{"name ${index}":0}`),
  "an object with many names": `{${Array.from({ length: 100_000 }, (_, index) => `"${index} ":0`).join(",")}}`,
};

describe("a parsed JSON value", () => {
  test.each(Object.entries(SHAPES))("of %s takes no more than was foreseen", (_shape, text) => {
    const { parsedBytes } = scanValue(text, 0, HTTP_JSON_DEPTH_MAX);
    const before = memory();
    const value = JSON.parse(text);
    const taken = memory() - before;
    expect(value).toBeDefined();
    // Characters of strings are part of the text's own weight.
    expect(taken).toBeLessThan(parsedBytes + text.length);
  });

  test("that would take more than it may is refused before it is parsed", () => {
    const bomb = `[${"{},".repeat(HTTP_JSON_PARSED_BYTES_MAX / 80)}{}]`;
    expect(bomb.length).toBeLessThan(3_000_000);
    expect(() => parseJson(bomb, "It")).toThrow(EdgelogError);
    expect(() => parseJson(bomb, "It")).toThrow(/too many objects/);
  });
});

const RECORDS: Record<string, (index: number) => object> = {
  "small records": (index) => ({ key: `${index}`, value: `v${index}` }),
  "records without anything": () => ({}),
  "records of a few hundred bytes": (index) => ({ value: `${index} ${"x".repeat(300)}` }),
  "records with headers": (index) => ({ value: "v", headers: { a: "1", b: `${index}`, trace: "x" } }),
  "records beyond Latin-1": (index) => ({ key: `ключ ${index}`, value: "значение" }),
  "records whose values are JSON": (index) => ({ value: { index, list: [1, 2, 3, { a: "b" }] } }),
};

describe("a produce request", () => {
  test.each(
    Object.entries(RECORDS).flatMap(([what, record]) => [
      [what, "application/json", record] as const,
      [what, "application/x-ndjson", record] as const,
    ]),
  )("of %s as %s holds at least what it takes", async (_what, type, record) => {
    const body = bodyOf(20_000, record, type);
    // What the engine learns of the code by running it stays.
    const warmUp = requestWith(body, type);
    await readProduceRequest(warmUp, type, {}, 1);
    releaseBody(warmUp);
    const heldBefore = requestBytes.held();
    const before = memory();
    const request = requestWith(body, type);
    const produced = await readProduceRequest(request, type, {}, 1);
    const taken = memory() - before;
    const held = requestBytes.held() - heldBefore;
    releaseBody(request);
    expect(body.length).toBeGreaterThan(0);
    expect(produced.records.length).toBe(20_000);
    // Twice what there is, for the batches that it will be put into.
    expect(taken).toBeLessThan(held + 256 * 1024);
  });
});

type BodyType = "application/json" | "application/x-ndjson";

function bodyOf(length: number, record: (index: number) => object, type: BodyType): string {
  const records = Array.from({ length }, (_, index) => record(index));
  if (type === "application/json") return JSON.stringify({ records });
  return records.map((each) => `${JSON.stringify(each)}\n`).join("");
}

function requestWith(body: string, type: BodyType): Request {
  return new Request("http://x/", { method: "POST", body, headers: { "content-type": type } });
}
