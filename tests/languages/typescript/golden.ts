/**
 * Decodes all golden events with protobuf-es and compares them with their JSON: Discord's, several in
 * one message, and this system's own.
 *
 * usage: node out/golden.js FOLDER
 */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Message, fromBinary, toJson } from "@bufbuild/protobuf";
import { LosslessNumber } from "lossless-json";
import { EventBatchSchema, EventSchema } from "./gen/gateway/v1/event_pb.js";
import { type Json, parse, payload } from "./mapping.js";

/** One event of Discord's. */
function check(folder: string, file: string): void {
  const event = fromBinary(EventSchema, bytes(folder, file));
  assert.equal(event.name, file.split(".")[0]);
  assert.deepEqual(comparable(payload(event)), comparable(parse(text(folder, file))));
}

/** A batch: it has all golden events of one name, in the order of their files. */
function checkBatch(folder: string, file: string): void {
  const { events } = fromBinary(EventBatchSchema, bytes(folder, file));
  const parent = join(folder, "..");
  const alone = files(parent).filter((each) => each.split(".")[0] === file);
  const sent = alone.map((each) => comparable(parse(text(parent, each))));
  assert.deepEqual(
    events.map((event) => comparable(payload(event))),
    sent,
  );
}

/** An event of this system's own: protobuf's own JSON stands for its payload. */
function checkOwn(folder: string, file: string): void {
  const { name, data } = fromBinary(EventSchema, bytes(folder, file));
  assert.equal(name, file);
  const names = { useProtoFieldName: true };
  const sent = JSON.parse(text(folder, file));
  const field = EventSchema.fields.find((each) => each.localName === data.case);
  assert.ok(field?.fieldKind === "message", `its payload is ${data.case}`);
  assert.deepEqual(toJson(field.message, data.value as Message, names), sent);
}

/** What is wrong with the files of a folder. */
function wrong(folder: string, examine: (folder: string, file: string) => void): string[] {
  const names = files(folder);
  if (names.length === 0) {
    return [`${folder}: nothing is there`];
  }
  return names.flatMap((file) => {
    try {
      examine(folder, file);
      return [];
    } catch (error) {
      return [`${file}: ${error instanceof Error ? error.message : error}`];
    }
  });
}

/** The messages in a folder, sorted. */
function files(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".binpb"))
    .sort()
    .map((file) => file.slice(0, -".binpb".length));
}

function bytes(folder: string, file: string): Uint8Array {
  return readFileSync(join(folder, `${file}.binpb`));
}

function text(folder: string, file: string): string {
  return readFileSync(join(folder, `${file}.json`), "utf8");
}

/** The same JSON, with each number as its digits and a power of ten: 1e-7 is 0.0000001. */
function comparable(json: Json): unknown {
  if (json instanceof LosslessNumber) {
    return { number: digits(json.value) };
  }
  if (Array.isArray(json)) {
    return json.map(comparable);
  }
  if (json && typeof json === "object") {
    return Object.fromEntries(Object.entries(json).map(([name, each]) => [name, comparable(each)]));
  }
  return json;
}

function digits(number: string): string {
  const [mantissa = "", power = "0"] = number.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const all = (whole + fraction).replace(/^0+/, "");
  const kept = all.replace(/0+$/, "");
  const exponent = Number(power) - fraction.length + all.length - kept.length;
  return `${mantissa.startsWith("-") ? "-" : ""}${kept}e${kept ? exponent : 0}`;
}

const folder = process.argv[2] ?? ".";
const [batch, own] = [join(folder, "batch"), join(folder, "own")];
const all = [...wrong(folder, check), ...wrong(batch, checkBatch), ...wrong(own, checkOwn)];
const counts = [folder, batch, own].map((each) => files(each).length);
const well =
  `typescript: ${counts[0]} events, ${counts[1]} batch and ${counts[2]} events of our own ` +
  "are as they were sent";
console.log(all.join("\n") || well);
process.exitCode = all.length > 0 ? 1 : 0;
