import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseMembers } from "../../src/http/json-members.ts";
import { HTTP_JSON_DEPTH_MAX } from "../../src/model/limits.ts";

/** What JSON.parse makes of the text; undefined if it refuses. */
function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function inPieces(text: string): { readonly value: unknown } | undefined {
  try {
    let elements: unknown[] = [];
    const taken = parseMembers(text, "list", "It", (element, index) => {
      if (index === 0) elements = [];
      if (index !== elements.length) throw new Error(`element ${elements.length} was given as ${index}`);
      elements.push(element);
    });
    if (taken === undefined) return { value: undefined };
    const { members, length } = taken;
    const list = length === undefined ? {} : { list: elements.slice(0, length) };
    // Numbers that keep their digits are raw JSON.
    return { value: JSON.parse(JSON.stringify({ ...members, ...list })) };
  } catch {
    return undefined;
  }
}

function expectTheSame(text: string): void {
  const whole = parsed(text);
  const isObject = typeof whole?.value === "object" && whole.value !== null && !Array.isArray(whole.value);
  expect(inPieces(text), text).toEqual(isObject || whole === undefined ? whole : { value: undefined });
}

const json = fc.jsonValue({ maxDepth: 4 }).map((value) => value as unknown);
const space = fc.constantFrom("", " ", "\n", "\t\r ");

/** An object whose members come in any order and repeatedly, written with white space anywhere. */
const objectText = fc
  .array(fc.tuple(fc.constantFrom("list", "a", "b", "__proto__", 'q"\\'), fc.oneof(json, fc.array(json))), {
    maxLength: 5,
  })
  .chain((members) =>
    fc.array(space, { minLength: 8, maxLength: 8 }).map((spaces) => {
      const [a, b, c, d, e, f, g, h] = spaces;
      const texts = members.map(
        ([name, value]) => `${b}${JSON.stringify(name)}${c}:${d}${JSON.stringify(value, null, g)}${e}`,
      );
      return `${a}{${texts.join(`,${f}`)}${h}}${b}`;
    }),
  );

describe("an object parsed one element of its list at a time", () => {
  test("is what it is parsed as a whole", () => {
    fc.assert(fc.property(objectText, expectTheSame));
  });

  test("is refused, or not, as it is as a whole, whatever one character of it is", () => {
    const broken = fc
      .tuple(
        objectText,
        fc.nat(),
        fc.constantFrom("", "{", "}", "[", "]", ",", ":", '"', "\\", "0", " ", "-", "e"),
      )
      .map(([text, place, character]) => {
        const at = place % (text.length + 1);
        return text.slice(0, at) + character + text.slice(at + (place % 2));
      });
    fc.assert(fc.property(broken, expectTheSame), { numRuns: 500 });
  });

  test.each([
    "",
    " ",
    "{",
    "{}",
    "{}}",
    "[]",
    "null",
    '"list"',
    '{"list":[]}',
    '{"list":[1,]}',
    '{"list":[,1]}',
    '{"list":[1 2]}',
    '{"list":[1}',
    '{"list":[1]]}',
    '{"list":[{]}]}',
    '{"list":1}',
    '{"list":[1],"list":[2]}',
    '{"list":[1],"list":null}',
    '{"list":null,"list":[1]}',
    '{"list":[1],}',
    "{list:[1]}",
    '{"list" [1]}',
    '{"li\\u0073t":[1]}',
    '{"a":1 "b":2}',
    '{"list":["]",{"a":"[\\""}]}',
    '{"list":[01]}',
    '{"list":[1]} x',
    "\ufeff{}",
  ])("is refused, or not, as it is as a whole: %s", expectTheSame);

  test("may be nested as deep as it may as a whole, and no deeper", () => {
    const nested = (levels: number) => `{"list":[${"[".repeat(levels)}${"]".repeat(levels)}]}`;
    expect(inPieces(nested(HTTP_JSON_DEPTH_MAX - 2))).toBeDefined();
    expect(inPieces(nested(HTTP_JSON_DEPTH_MAX - 1))).toBeUndefined();
  });
});
