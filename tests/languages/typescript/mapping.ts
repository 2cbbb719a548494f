/**
 * Turns an event of the bus back into the JSON that Discord sent.
 *
 * Everything it needs is in the descriptors of the generated code: it knows no event, no object and
 * no member by name, so it also serves objects that the contract gains later.
 */

import { type DescField, ScalarType, isMessage } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Timestamp, TimestampSchema, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { LosslessNumber, parse as parseLossless } from "lossless-json";
import { type Event, EventSchema } from "./gen/gateway/v1/event_pb.js";

/** JSON with its numbers as they are written: `number` would round them. */
export type Json = null | boolean | string | LosslessNumber | Json[] | Members;

/** An object. */
export type Members = { [name: string]: Json };

/** The contract's own fields, which every object has beside Discord's members. */
const OWN = new Set(["unknown_json", "nulls", "empties"]);

/** The payload (`d`) of an event, typed or not. */
export function payload(event: Event): Json {
  const envelope = reflect(EventSchema, event);
  const data = EventSchema.oneofs.find((oneof) => oneof.name === "data");
  const field = data && envelope.oneofCase(data);
  return field ? member(field, envelope.get(field)) : parse(event.json);
}

/** JSON text. */
export function parse(text: string): Json {
  return parseLossless(text) as Json;
}

/** One of Discord's objects. Fields have the names of Discord's members. */
function members(message: ReflectMessage): Members {
  const found: Members = {};
  for (const field of message.fields) {
    if (message.isSet(field) && !OWN.has(field.name)) {
      found[field.name] = member(field, message.get(field));
    }
  }
  for (const field of named(message, "nulls")) {
    found[field.name] = null;
  }
  for (const field of named(message, "empties")) {
    found[field.name] = field.fieldKind === "map" ? {} : [];
  }
  // Last, because what was kept as text is exactly what Discord sent.
  const kept = own(message, "unknown_json") || "{}";
  return { ...found, ...(parse(String(kept)) as Members) };
}

/** The fields whose numbers stand in `nulls` or `empties`. */
function named(message: ReflectMessage, list: string): DescField[] {
  const numbers = new Set(own(message, list) as Iterable<number>);
  return message.fields.filter((field) => numbers.has(field.number));
}

function own(message: ReflectMessage, name: string): unknown {
  const field = message.fields.find((each) => each.name === name);
  return field && message.get(field);
}

/** The value of a field, which may be a list or a map. */
function member(field: DescField, value: unknown): Json {
  switch (field.fieldKind) {
    case "list":
      return Array.from(value as Iterable<unknown>, (each) => single(field.scalar, each));
    case "map": {
      const entries = Array.from(value as Iterable<[unknown, unknown]>);
      return Object.fromEntries(entries.map(([key, each]) => [key, single(field.scalar, each)]));
    }
    default:
      return single(field.scalar, value);
  }
}

/** One value; its type in the contract says what it is in JSON. */
function single(scalar: ScalarType | undefined, value: unknown): Json {
  switch (scalar) {
    case ScalarType.STRING:
      return value as string;
    case ScalarType.BOOL:
      return value as boolean;
    // Snowflakes and permissions.
    case ScalarType.FIXED64:
    case ScalarType.UINT64:
      return String(value);
    case undefined:
      return typeof value === "number" ? number(value) : object(value as ReflectMessage);
    default:
      return number(value as number | bigint);
  }
}

/** A message. Two of protobuf's own stand for something else than an object. */
function object(message: ReflectMessage): Json {
  const value = message.message;
  if (isMessage(value, TimestampSchema)) {
    return moment(value);
  }
  return isMessage(value, ValueSchema) ? anything(value) : members(message);
}

function number(value: number | bigint): LosslessNumber {
  return new LosslessNumber(String(value));
}

/** A time as Discord writes it. */
function moment({ seconds, nanos }: Timestamp): string {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, "YYYY-MM-DDTHH:MM:SS".length);
  const micros = String(Math.floor(nanos / 1000)).padStart(6, "0");
  return `${whole}${nanos ? `.${micros}` : ""}+00:00`;
}

/** A `google.protobuf.Value`. */
function anything({ kind }: Value): Json {
  switch (kind.case) {
    case "numberValue":
      return number(kind.value);
    case "structValue": {
      const fields = Object.entries(kind.value.fields);
      return Object.fromEntries(fields.map(([name, each]) => [name, anything(each)]));
    }
    case "listValue":
      return kind.value.values.map(anything);
    case "stringValue":
    case "boolValue":
      return kind.value;
    default:
      return null;
  }
}
