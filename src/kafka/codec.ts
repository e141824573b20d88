/**
 * The one interpreter of the schemas: reads and writes every message in every version. What a schema says of a version
 * is worked out once, into a plan of steps, and kept: Workers cannot make code at run time.
 */

import { EdgelogError } from "../model/errors.ts";
import {
  type AnyField,
  type Fields,
  isIn,
  type Message,
  type Primitive,
  type ReadOf,
  type WrittenOf,
} from "./schema.ts";
import { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

/**
 * Reads a message. What follows it is left alone: some clients send more than they say.
 *
 * @throws {EdgelogError} UNSUPPORTED_VERSION; INVALID_REQUEST: the bytes are not such a message
 */
export function readMessage<M extends Message>(message: M, version: number, reader: WireReader): ReadOf<M> {
  const plan = planOf(message, version);
  try {
    // The plan is made from the schema, as the type is: this is where the two meet.
    return plan.read(reader) as ReadOf<M>;
  } catch (error) {
    throw inMessage(error, message, version);
  }
}

/** {@link readMessage} of bytes that hold nothing else before the message. */
export function decodeMessage<M extends Message>(message: M, version: number, bytes: Uint8Array): ReadOf<M> {
  return readMessage(message, version, new WireReader(bytes));
}

/**
 * Writes a message.
 *
 * @throws {EdgelogError} UNSUPPORTED_VERSION: the version is unknown or cannot carry what is said; INVALID_REQUEST: a value
 *   is not one of its field's
 */
export function writeMessage<M extends Message>(
  message: M,
  version: number,
  writer: WireWriter,
  value: WrittenOf<M>,
): void {
  const plan = planOf(message, version);
  try {
    plan.write(writer, value);
  } catch (error) {
    throw inMessage(error, message, version);
  }
}

function inMessage(error: unknown, message: Message, version: number): unknown {
  if (!(error instanceof EdgelogError)) return error;
  return new EdgelogError(error.code, `${message.name} v${version}: ${error.message}`, { cause: error });
}

/** How one type is read and written in one version. */
interface Plan {
  read(reader: WireReader): unknown;
  write(writer: WireWriter, value: unknown): void;
  /** No value takes fewer bytes. */
  readonly bytesMin: number;
}

/** What plans are made for. */
interface Edition {
  readonly version: number;
  readonly flexible: boolean;
  readonly lenient: boolean;
}

const plans = new WeakMap<Message, Map<number, Plan>>();

function planOf(message: Message, version: number): Plan {
  const known = plans.get(message)?.get(version);
  if (known !== undefined) return known;
  if (!Number.isInteger(version) || !isIn(message.versions, version)) {
    const { first, last } = message.versions;
    throw new EdgelogError(
      "UNSUPPORTED_VERSION",
      `${message.name} has the versions ${first} to ${last}, not ${version}`,
    );
  }
  const edition = { version, flexible: version >= message.flexibleFrom, lenient: message.lenient };
  const plan = structPlan(message.fields, edition);
  const ofMessage = plans.get(message) ?? new Map<number, Plan>();
  plans.set(message, ofMessage.set(version, plan));
  return plan;
}

interface ReadStep {
  readonly name: string;
  read(reader: WireReader): unknown;
}

interface WriteStep {
  readonly name: string;
  write(writer: WireWriter, value: unknown): void;
}

interface TaggedField extends ReadStep, WriteStep {
  readonly tagNumber: number;
  readonly field: AnyField;
}

function structPlan(fields: Fields, edition: Edition): Plan {
  const reads: ReadStep[] = [];
  const writes: WriteStep[] = [];
  const tagged: TaggedField[] = [];
  let bytesMin = edition.flexible ? 1 : 0;
  for (const [name, field] of Object.entries(fields)) {
    const present = isIn(field.versions, edition.version);
    if (present && field.tagNumber === undefined) {
      const plan = fieldPlan(name, field, edition);
      reads.push({ name, read: plan.read });
      writes.push({ name, write: plan.write });
      bytesMin += plan.bytesMin;
      continue;
    }
    // Every message has every field, in one order: objects of one shape.
    reads.push({ name, read: () => field.default });
    if (present) {
      tagged.push({ name, field, tagNumber: field.tagNumber ?? 0, ...fieldPlan(name, field, edition) });
    } else if (!edition.lenient && !field.isIgnorable) {
      writes.push({ name, write: (_, value) => refuseUnlessDefault(name, field, value) });
    }
  }
  tagged.sort((a, b) => a.tagNumber - b.tagNumber);
  return {
    bytesMin,
    read(reader) {
      const struct: Record<string, unknown> = {};
      for (const step of reads) struct[step.name] = step.read(reader);
      if (edition.flexible) readTagged(reader, tagged, struct);
      return struct;
    },
    write(writer, value) {
      if (!isStruct(value)) throw wrong("a struct", value);
      for (const step of writes) step.write(writer, value[step.name]);
      if (edition.flexible) writeTagged(writer, tagged, value);
    },
  };
}

function readTagged(
  reader: WireReader,
  known: readonly TaggedField[],
  struct: Record<string, unknown>,
): void {
  for (let count = reader.uvarint(); count > 0; count--) {
    const tagNumber = reader.uvarint();
    const size = reader.uvarint();
    const tagged = known.find((candidate) => candidate.tagNumber === tagNumber);
    if (tagged === undefined || size > reader.remaining) {
      reader.skip(size);
      continue;
    }
    const end = reader.position + size;
    struct[tagged.name] = tagged.read(reader);
    if (reader.position > end) {
      throw new EdgelogError("INVALID_REQUEST", `${tagged.name} is longer than the ${size} bytes of its tag`);
    }
    reader.skip(end - reader.position);
  }
}

function writeTagged(
  writer: WireWriter,
  known: readonly TaggedField[],
  struct: Readonly<Record<string, unknown>>,
): void {
  if (known.length === 0) {
    writer.int8(0);
    return;
  }
  const said = known.filter(({ name, field }) => !isDefault(field, struct[name]));
  writer.uvarint(said.length);
  for (const tagged of said) {
    writer.uvarint(tagged.tagNumber);
    const mark = writer.beginTag();
    tagged.write(writer, struct[tagged.name]);
    writer.endTag(mark);
  }
}

/** The plan of a field that is on the wire: its default where the writer says nothing, its name in complaints. */
function fieldPlan(name: string, field: AnyField, edition: Edition): Plan {
  const plan = valuePlan(field, edition);
  return {
    read: plan.read,
    bytesMin: plan.bytesMin,
    write(writer, value) {
      try {
        plan.write(writer, value === undefined ? field.default : value);
      } catch (error) {
        if (!(error instanceof EdgelogError)) throw error;
        throw new EdgelogError(error.code, `${name}: ${error.message}`, { cause: error });
      }
    },
  };
}

function valuePlan(field: AnyField, edition: Edition): Plan {
  const nullable = isIn(field.nullVersions, edition.version);
  switch (field.type.kind) {
    case "array":
      return arrayPlan(field.type.element, nullable, edition);
    case "struct": {
      const plan = structPlan(field.type.fields, edition);
      return nullable ? nullableStructPlan(plan) : plan;
    }
    case "string":
      return stringPlan(nullable, edition);
    case "bytes":
    case "records":
      return bytesPlan(field.type.kind, nullable, edition);
    default:
      return FIXED[field.type.kind];
  }
}

type FixedPrimitive = Exclude<Primitive, "string" | "bytes" | "records">;

const FIXED: Readonly<Record<FixedPrimitive, Plan>> = {
  bool: {
    bytesMin: 1,
    read: (reader) => reader.bool(),
    write(writer, value) {
      if (typeof value !== "boolean") throw wrong("a boolean", value);
      writer.bool(value);
    },
  },
  int8: integerPlan(
    1,
    (reader) => reader.int8(),
    (writer, value) => writer.int8(value),
  ),
  int16: integerPlan(
    2,
    (reader) => reader.int16(),
    (writer, value) => writer.int16(value),
  ),
  int32: integerPlan(
    4,
    (reader) => reader.int32(),
    (writer, value) => writer.int32(value),
  ),
  int64: {
    bytesMin: 8,
    read: (reader) => reader.int64(),
    write(writer, value) {
      const fits = typeof value === "number" && (Number.isSafeInteger(value) || Math.abs(value) === 2 ** 63);
      if (!fits) throw wrong("a whole number that a double holds exactly", value);
      writer.int64(value);
    },
  },
  uuid: {
    bytesMin: 16,
    read: (reader) => reader.uuid(),
    write(writer, value) {
      if (typeof value !== "string" || !writer.uuid(value)) throw wrong("a Uuid of 22 characters", value);
    },
  },
};

function integerPlan(
  size: number,
  read: (reader: WireReader) => number,
  write: (writer: WireWriter, value: number) => void,
): Plan {
  const limit = 2 ** (8 * size - 1);
  return {
    bytesMin: size,
    read,
    write(writer, value) {
      if (typeof value !== "number" || !Number.isInteger(value) || value < -limit || value >= limit) {
        throw wrong(`an int${8 * size}`, value);
      }
      write(writer, value);
    },
  };
}

function stringPlan(nullable: boolean, { flexible }: Edition): Plan {
  return {
    bytesMin: flexible ? 1 : 2,
    read(reader) {
      const length = reader.stringLength(flexible);
      if (length < 0) return admitNull(length, nullable);
      return reader.string(length);
    },
    write(writer, value) {
      if (value === null && nullable) writer.stringLength(-1, flexible);
      else if (typeof value !== "string") throw wrong("a string", value);
      else if (!writer.string(value, flexible)) throw wrong("a string of at most 32767 bytes", value);
    },
  };
}

function bytesPlan(kind: "bytes" | "records", nullable: boolean, { flexible }: Edition): Plan {
  return {
    bytesMin: flexible ? 1 : 4,
    read(reader) {
      const length = reader.length(flexible);
      if (length < 0) return admitNull(length, nullable);
      return reader.view(length);
    },
    write(writer, value) {
      if (value === null && nullable) {
        writer.length(-1, flexible);
        return;
      }
      if (!(value instanceof Uint8Array)) throw wrong("bytes", value);
      writer.length(value.length, flexible);
      if (kind === "records") writer.share(value);
      else writer.copy(value);
    },
  };
}

function arrayPlan(element: AnyField, nullable: boolean, edition: Edition): Plan {
  const plan = valuePlan(element, edition);
  const { flexible } = edition;
  return {
    bytesMin: flexible ? 1 : 4,
    read(reader) {
      const count = reader.length(flexible);
      if (count < 0) return admitNull(count, nullable);
      reader.admitElements(count, plan.bytesMin);
      const elements: unknown[] = [];
      for (let index = 0; index < count; index++) elements.push(plan.read(reader));
      return elements;
    },
    write(writer, value) {
      if (value === null && nullable) {
        writer.length(-1, flexible);
        return;
      }
      if (!Array.isArray(value)) throw wrong("an array", value);
      writer.length(value.length, flexible);
      for (const item of value) plan.write(writer, item);
    },
  };
}

/** A byte before it: negative, there is none. */
function nullableStructPlan(plan: Plan): Plan {
  return {
    bytesMin: 1,
    read: (reader) => (reader.int8() < 0 ? null : plan.read(reader)),
    write(writer, value) {
      writer.int8(value === null ? -1 : 1);
      if (value !== null) plan.write(writer, value);
    },
  };
}

function admitNull(length: number, nullable: boolean): null {
  if (nullable && length === -1) return null;
  throw new EdgelogError(
    "INVALID_REQUEST",
    length === -1 ? "a field is null that must not be" : `a length is ${length}`,
  );
}

function refuseUnlessDefault(name: string, field: AnyField, value: unknown): void {
  if (isDefault(field, value)) return;
  throw new EdgelogError("UNSUPPORTED_VERSION", `this version cannot carry ${name}`);
}

function isDefault(field: AnyField, value: unknown): boolean {
  if (value === undefined || value === field.default) return true;
  if (Array.isArray(value)) return Array.isArray(field.default) && value.length === 0;
  if (value instanceof Uint8Array) return field.default instanceof Uint8Array && value.length === 0;
  if (field.type.kind !== "struct" || !isStruct(value) || field.default === null) return false;
  return Object.entries(field.type.fields).every(([name, inner]) => isDefault(inner, value[name]));
}

function isStruct(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(wanted: string, value: unknown): EdgelogError {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  return new EdgelogError("INVALID_REQUEST", `${shown} is not ${wanted}`);
}
