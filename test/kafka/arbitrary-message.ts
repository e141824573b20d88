import fc from "fast-check";
import type { AnyField, Fields, Message } from "../../src/kafka/schema.ts";
import { isIn } from "../../src/kafka/schema.ts";

/** Any value that a message may have in a version; fields that the version does not carry have their default. */
export function arbitraryMessage(message: Message, version: number): fc.Arbitrary<Record<string, unknown>> {
  return arbitraryStruct(message.fields, version);
}

function arbitraryStruct(fields: Fields, version: number): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    Object.fromEntries(
      Object.entries(fields).map(([name, field]) => [
        name,
        isIn(field.versions, version) ? arbitraryField(field, version) : fc.constant(field.default),
      ]),
    ),
    { noNullPrototype: true },
  );
}

function arbitraryField(field: AnyField, version: number): fc.Arbitrary<unknown> {
  const value = arbitraryValue(field, version);
  const orDefault = field.tagNumber === undefined ? value : fc.oneof(value, fc.constant(field.default));
  return isIn(field.nullVersions, version) ? fc.option(orDefault) : orDefault;
}

function arbitraryValue({ type }: AnyField, version: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "array":
      return fc.array(arbitraryField(type.element, version), { maxLength: 3 });
    case "struct":
      return arbitraryStruct(type.fields, version);
    case "bool":
      return fc.boolean();
    case "int8":
      return fc.integer({ min: -(2 ** 7), max: 2 ** 7 - 1 });
    case "int16":
      return fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 });
    case "int32":
      return fc.integer();
    case "int64":
      return fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-1, 0, 2 ** 53 - 1, 2 ** 63, -(2 ** 63)));
    case "uuid":
      return fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => Buffer.from(bytes).toString("base64url"));
    case "string":
      return fc.string({ unit: "binary", maxLength: 20 });
    default:
      return fc.uint8Array({ maxLength: 40 });
  }
}
