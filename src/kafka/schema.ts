/**
 * The notation in which Kafka's messages are written down (`messages/`), and the TypeScript types that follow from it.
 *
 * ```ts
 * const request = message({ versions: "0-2", flexible: 2, fields: {
 *   topics: array({
 *     name: string("0-1"),                    // present in versions 0 and 1
 *     topicId: uuid("2+"),                    // present from version 2 on
 *     partitions: array(int32()),             // present in every version
 *   }),
 *   rack: string("1+").nullable().or(null),   // may be null; null for whoever does not say
 *   epoch: int64("2+").or(-1).tag(0),         // a tagged field (KIP-482): on the wire only when it is not -1
 * } });
 * type Request = ReadOf<typeof request>;
 * ```
 *
 * Who reads a message finds every field in it, with its default where the version does not carry it. Who writes one may
 * leave out the fields that have a default (`or`, `tag`).
 */

/** `"3+"`: from version 3 on; `"0-2"`: versions 0 to 2; `"1"`: that one alone. */
export type Versions = `${number}+` | `${number}-${number}` | `${number}`;

/** Both ends included; `last` may be Infinity. */
export interface VersionRange {
  readonly first: number;
  readonly last: number;
}

/** What the wire knows. `records` is `bytes` that are never copied on their way. */
export type Primitive =
  | "bool"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uuid"
  | "string"
  | "bytes"
  | "records";

export type FieldType =
  | { readonly kind: Primitive }
  | { readonly kind: "array"; readonly element: AnyField }
  | { readonly kind: "struct"; readonly fields: Fields };

export type AnyField = Field<unknown, unknown, boolean>;

/** In the order of the wire. */
export type Fields = { readonly [name: string]: AnyField };

/** What a reader of a message gets. */
export type FieldsRead<F extends Fields> = { readonly [Name in keyof F]: F[Name]["read"] };

/** What a writer of a message gives. */
export type FieldsWritten<F extends Fields> = {
  readonly [Name in keyof F as F[Name]["omittable"] extends true ? never : Name]: F[Name]["written"];
} & {
  readonly [Name in keyof F as F[Name]["omittable"] extends true ? Name : never]?:
    | F[Name]["written"]
    | undefined;
};

const EVERY_VERSION: VersionRange = { first: 0, last: Number.POSITIVE_INFINITY };

/** A field: its type, the versions that carry it, whether it may be null, its default. Immutable. */
export class Field<Read, Written = Read, Omittable extends boolean = false> {
  /** Only types; there is nothing here at run time. */
  declare readonly read: Read;
  declare readonly written: Written;
  declare readonly omittable: Omittable;

  readonly type: FieldType;
  readonly versions: VersionRange;
  /** The versions in which it may be null. */
  readonly nullVersions: VersionRange | undefined;
  readonly tagNumber: number | undefined;
  readonly isIgnorable: boolean;
  /** What stands for it where it is absent. */
  readonly default: unknown;

  constructor(traits: FieldTraits) {
    this.type = traits.type;
    this.versions = traits.versions;
    this.nullVersions = traits.nullVersions;
    this.tagNumber = traits.tagNumber;
    this.isIgnorable = traits.isIgnorable ?? false;
    this.default = traits.default;
  }

  /** It may be null, in these versions or in all that carry it. */
  nullable(versions?: Versions): Field<Read | null, Written | null, Omittable> {
    return new Field({ ...this, nullVersions: versionRange(versions) });
  }

  /** Its default, which a writer may leave out. */
  or(value: Read): Field<Read, Written, true> {
    return new Field({ ...this, default: value });
  }

  /** It is a tagged field: on the wire only when it differs from its default. */
  tag(tagNumber: number): Field<Read, Written, true> {
    return new Field({ ...this, tagNumber });
  }

  /**
   * A request may be written in a version that cannot carry this field, its value is then lost; any other field of a
   * request is refused there unless it has its default. (Responses always leave out what the version cannot carry.)
   */
  ignorable(): Field<Read, Written, Omittable> {
    return new Field({ ...this, isIgnorable: true });
  }
}

interface FieldTraits {
  readonly type: FieldType;
  readonly versions: VersionRange;
  readonly nullVersions?: VersionRange | undefined;
  readonly tagNumber?: number | undefined;
  readonly isIgnorable?: boolean;
  readonly default: unknown;
}

/** The all-zero Uuid, which stands for none. */
export const ZERO_UUID = "AAAAAAAAAAAAAAAAAAAAAA";
/** Kafka's Long.MAX_VALUE, as reading it gives it: see {@link int64}. */
export const LONG_MAX = 2 ** 63;

const NO_BYTES = new Uint8Array(0);
const NO_ELEMENTS: readonly never[] = Object.freeze([]);

export function bool(versions?: Versions): Field<boolean> {
  return primitive("bool", false, versions);
}

export function int8(versions?: Versions): Field<number> {
  return primitive("int8", 0, versions);
}

export function int16(versions?: Versions): Field<number> {
  return primitive("int16", 0, versions);
}

export function int32(versions?: Versions): Field<number> {
  return primitive("int32", 0, versions);
}

/**
 * A JavaScript number: offsets, producer ids and times stay far below 2^53. What a client sends beyond ±2^53 is read as
 * the nearest double, so that it still compares as it should (an offset out of range stays out of range); whoever stores
 * or echoes one asks `Number.isSafeInteger` first. Writing takes safe integers, and ±2^63 for Long's two ends.
 */
export function int64(versions?: Versions): Field<number> {
  return primitive("int64", 0, versions);
}

/** As 22 characters of base64url, the way Kafka prints it. */
export function uuid(versions?: Versions): Field<string> {
  return primitive("uuid", ZERO_UUID, versions);
}

export function string(versions?: Versions): Field<string> {
  return primitive("string", "", versions);
}

/** Reading gives a view of the frame. */
export function bytes(versions?: Versions): Field<Uint8Array> {
  return primitive("bytes", NO_BYTES, versions);
}

/** Record batches. Reading gives a view of the frame; writing puts a large one into the answer as it is, uncopied. */
export function records(versions?: Versions): Field<Uint8Array> {
  return primitive("records", NO_BYTES, versions);
}

/** An array of structs, given by their fields, or of anything else. */
export function array<Read, Written>(
  element: Field<Read, Written>,
  versions?: Versions,
): Field<readonly Read[], readonly Written[]>;
export function array<F extends Fields>(
  element: F,
  versions?: Versions,
): Field<readonly FieldsRead<F>[], readonly FieldsWritten<F>[]>;
export function array(element: AnyField | Fields, versions?: Versions): Field<readonly unknown[]> {
  const type: FieldType = { kind: "array", element: element instanceof Field ? element : struct(element) };
  return new Field({ type, versions: versionRange(versions), default: NO_ELEMENTS });
}

export function struct<F extends Fields>(
  fields: F,
  versions?: Versions,
): Field<FieldsRead<F>, FieldsWritten<F>> {
  const type: FieldType = { kind: "struct", fields };
  return new Field({ type, versions: versionRange(versions), default: defaultsOf(fields) });
}

function primitive<T>(kind: Primitive, none: T, versions: Versions | undefined): Field<T> {
  return new Field({ type: { kind }, versions: versionRange(versions), default: none });
}

function defaultsOf(fields: Fields): Readonly<Record<string, unknown>> {
  return Object.freeze(
    Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default])),
  );
}

/** One message in all its versions. */
export interface Message<F extends Fields = Fields> {
  readonly name: string;
  /** The versions that exist. */
  readonly versions: VersionRange;
  /** From this version on it has compact lengths and tagged fields (KIP-482); Infinity: in none. */
  readonly flexibleFrom: number;
  /** Whether writing leaves out in silence what a version cannot carry: see {@link Field.ignorable}. */
  readonly lenient: boolean;
  readonly fields: F;
}

export type ReadOf<M extends Message> = FieldsRead<M["fields"]>;
export type WrittenOf<M extends Message> = FieldsWritten<M["fields"]>;

/** A message that is neither request nor response of an API. */
export function message<F extends Fields>(traits: {
  readonly name: string;
  readonly versions: Versions;
  /** The first flexible version; absent: there is none. */
  readonly flexible?: number;
  readonly fields: F;
}): Message<F> {
  const { name, fields, flexible = Number.POSITIVE_INFINITY } = traits;
  return { name, versions: versionRange(traits.versions), flexibleFrom: flexible, lenient: false, fields };
}

/** An API: what is asked and what is answered, in the same versions. */
export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number;
  readonly name: string;
  readonly versions: VersionRange;
  readonly flexibleFrom: number;
  readonly request: Message<Request>;
  readonly response: Message<Response>;
}

export type RequestOf<A extends Api> = FieldsRead<A["request"]["fields"]>;
/** The answer as a handler gives it. */
export type ResponseOf<A extends Api> = FieldsWritten<A["response"]["fields"]>;

export function api<Request extends Fields, Response extends Fields>(traits: {
  readonly key: number;
  readonly name: string;
  readonly versions: Versions;
  /** The first flexible version; absent: there is none. */
  readonly flexible?: number;
  readonly request: Request;
  readonly response: Response;
}): Api<Request, Response> {
  const { key, name, flexible: flexibleFrom = Number.POSITIVE_INFINITY } = traits;
  const versions = versionRange(traits.versions);
  return {
    key,
    name,
    versions,
    flexibleFrom,
    request: { name: `${name} request`, versions, flexibleFrom, lenient: false, fields: traits.request },
    response: { name: `${name} response`, versions, flexibleFrom, lenient: true, fields: traits.response },
  };
}

export function isIn(range: VersionRange | undefined, version: number): boolean {
  return range !== undefined && version >= range.first && version <= range.last;
}

function versionRange(versions: Versions | undefined): VersionRange {
  if (versions === undefined) return EVERY_VERSION;
  const [, first, plus, last] = /^(\d+)(?:(\+)|-(\d+))?$/.exec(versions) ?? [];
  if (first === undefined)
    throw new TypeError(`"${versions}" is not a range of versions such as "3+" or "0-2"`);
  if (plus !== undefined) return { first: Number(first), last: Number.POSITIVE_INFINITY };
  return { first: Number(first), last: Number(last ?? first) };
}
