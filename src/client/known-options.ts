import { EdgelogError } from "../model/errors.ts";

/** The names of all options of a type; the compiler sees to it that none is missing. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/** Throws INVALID_CONFIG for what is no option: in a program without types a misspelt one would do nothing, in silence. */
export function requireKnown<Options extends object>(
  options: Options,
  names: OptionNames<Required<Options>>,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new EdgelogError("INVALID_CONFIG", `options must be an object, not ${JSON.stringify(options)}`);
  }
  const known = Object.keys(names);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const nearest = nearestOf(known, name);
    const hint = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean ${nearest}?`;
    throw new EdgelogError("INVALID_CONFIG", `${name} is no option here; ${hint}`);
  }
}

/** One that begins with it or the other way round, or from which two letters at most make the difference. */
function nearestOf(known: readonly string[], given: string): string | undefined {
  const one = given.toLowerCase();
  return known
    .map((name) => ({ name, letters: distance(one, name.toLowerCase()) }))
    .filter(({ name, letters }) => {
      const other = name.toLowerCase();
      return one.startsWith(other) || other.startsWith(one) || letters <= 2;
    })
    .sort((a, b) => a.letters - b.letters)[0]?.name;
}

/** Levenshtein's: how many letters are to be put in, left out or changed. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1];
    for (let index = 1; index < row.length; index++) {
      const changed = (row[index - 1] ?? 0) + (letter === other[index - 1] ? 0 : 1);
      next.push(Math.min((row[index] ?? 0) + 1, (next[index - 1] ?? 0) + 1, changed));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
