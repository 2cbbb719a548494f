/**
 * Decodes all golden events with protobuf-es and compares them with their JSON.
 *
 * usage: node out/golden.js FOLDER
 */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { LosslessNumber } from "lossless-json";
import { EventSchema } from "./gen/gateway/v1/event_pb.js";
import { type Json, parse, payload } from "./mapping.js";

/** What is wrong with one event, if anything. */
function check(folder: string, file: string): string | undefined {
  const event = fromBinary(EventSchema, readFileSync(join(folder, `${file}.binpb`)));
  const sent = parse(readFileSync(join(folder, `${file}.json`), "utf8"));
  try {
    assert.equal(event.name, file.split(".")[0]);
    assert.deepEqual(comparable(payload(event)), comparable(sent));
    return undefined;
  } catch (error) {
    return `${file}: ${error instanceof Error ? error.message : error}`;
  }
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
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".binpb"))
  .map((file) => file.slice(0, -".binpb".length))
  .sort();
const wrong = files.flatMap((file) => check(folder, file) ?? []);
console.log(wrong.join("\n") || `typescript: ${files.length} events are as Discord sent them`);
process.exitCode = wrong.length > 0 || files.length === 0 ? 1 : 0;
