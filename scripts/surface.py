#!/usr/bin/env python3
"""Writes Discord's HTTP API as a table of its operations, objects and enums: facts alone, no prose.

usage: scripts/surface.py OPENAPI.json > tests/discord/surface.txt

OPENAPI.json is Discord's own description of its API, from https://github.com/discord/discord-api-spec.
tests/contract.rs compares the table with the contract.
"""

import json
import sys

HEAD = """\
# What Discord's HTTP API sends and takes. Written by scripts/surface.py; do not edit.
#
#   operation NAME METHOD PATH
#     path NAME TYPE
#     query NAME TYPE
#     body TYPE
#     files NAME [NAME]      parts of multipart/form-data that are files; `form`: it takes nothing else
#     answer STATUS [TYPE]   a status of success, with the type of its body
#   object NAME [body]       body: it is what a request has as its body, or an element of that
#     MEMBER[?] [?]TYPE      ? after the name: may be absent; ? before the type: may be null
#   enum NAME integer: NAME=VALUE ...
#   enum NAME string: VALUE ...
#
# [T] is an array, {T} an object with T under any key, A|B one of several. A name with a dot is that
# of an object which has no name of its own: it stands at that place.
"""
FORMATS = {"date-time": "date-time", "snowflake": "snowflake", "int32": "int32", "int64": "int64"}
# Schemas that are only another way to write a plain type.
PLAIN = {"SnowflakeType": "snowflake", "Int53Type": "int64", "UInt32Type": "uint32"}


class Surface:
    """The tables' lines, collected while walking the document."""

    def __init__(self, document):
        self.document = document
        self.objects = {}
        self.enums = {}
        self.bodies = set()
        self.operations = {}

    def walk(self):
        """Collects every schema, and what operations have without a name."""
        for name, schema in self.document["components"]["schemas"].items():
            if name not in PLAIN:
                self.schema(name, schema)
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict):
                    lines = [f"{operation['operationId']} {method.upper()} {path}"]
                    lines += self.parameters(item.get("parameters", []))
                    lines += self.operation(operation)
                    self.operations[operation["operationId"]] = lines

    def parameters(self, parameters):
        return [
            f"{it['in']} {it['name']} {self.type(it['schema'], it['name'])}" for it in parameters
        ]

    def operation(self, operation):
        """Parameters, the body of a request, and of its successful answers."""
        name = operation["operationId"]
        lines = self.parameters(operation.get("parameters", []))
        body = content(operation.get("requestBody", {}))
        if body is not None:
            lines.append(f"body {self.type(body, f'{name}.body')}")
            self.mark(body, f"{name}.body")
        lines += files(operation.get("requestBody", {}))
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                continue
            answer = content(response)
            kind = "" if answer is None else f" {self.type(answer, f'{name}.response')}"
            lines.append(f"answer {status}{kind or raw(response)}")
        return lines

    def mark(self, schema, name):
        """Remembers the objects that `schema`, a body, consists of."""
        if "$ref" in schema:
            self.bodies.add(reference(schema))
        elif "properties" in schema:
            self.bodies.add(name)
        for part in alternatives(schema):
            self.mark(part, name)
        if "items" in schema:
            self.mark(schema["items"], f"{name}[]")

    def schema(self, name, schema):
        """A schema with a name: an object, an enum, or a union of objects."""
        values = schema.get("oneOf", [])
        if values and all("const" in value for value in values):
            self.enum(name, schema["type"], values)
        elif "properties" in schema or "allOf" in schema:
            self.object(name, schema)
        else:
            self.objects[name] = [f"= {self.type(schema, name)}"]

    def enum(self, name, kind, values):
        if kind == "string":
            words = [value["const"] for value in values]
        else:
            values = sorted(values, key=lambda value: value["const"])
            words = [f"{value['title'].replace(' ', '_')}={value['const']}" for value in values]
        self.enums[name] = f"{kind}: {' '.join(words)}"

    def object(self, name, schema):
        """An object, with the members of those that it is made of."""
        lines = {}
        for part in [schema, *map(self.resolve, schema.get("allOf", []))]:
            required = part.get("required", [])
            for member, kind in part.get("properties", {}).items():
                absent = "" if member in required else "?"
                lines[member] = f"{member}{absent} {self.type(kind, f'{name}.{member}')}"
        self.objects[name] = [lines[member] for member in sorted(lines)]

    def resolve(self, schema):
        if "$ref" in schema:
            return self.document["components"]["schemas"][reference(schema)]
        return schema

    def type(self, schema, place):
        """How the table writes the type of what stands at `place`."""
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        parts = alternatives(schema)
        null = "null" in kinds or any(part.get("type") == "null" for part in parts)
        parts = [part for part in parts if part.get("type") != "null"]
        if kinds == ["null"]:
            return "null"
        kinds = [kind for kind in kinds if kind != "null"]
        return ("?" if null else "") + self.plain(schema, kinds, parts, place)

    def plain(self, schema, kinds, parts, place):
        """`type` of a schema that cannot be null."""
        if "$ref" in schema:
            name = reference(schema)
            return PLAIN.get(name, name)
        if len(schema.get("allOf", [])) == 1:
            return self.type(schema["allOf"][0], place)
        if "properties" in schema or "allOf" in schema:
            self.object(place, schema)
            return place
        if parts:
            names = [self.type(part, f"{place}.{i}") for i, part in enumerate(parts)]
            return "|".join(sorted(set(names)))
        kind = kinds[0] if kinds else "any"
        if kind == "array":
            return f"[{self.type(schema['items'], f'{place}[]')}]"
        if kind == "object":
            return f"{{{self.type(schema.get('additionalProperties') or {}, f'{place}{{}}')}}}"
        return FORMATS.get(schema.get("format"), kind)

    def lines(self):
        for name in sorted(self.operations):
            head, *lines = self.operations[name]
            yield f"operation {head}"
            yield from (f"  {line}" for line in lines)
        for name in sorted(self.objects):
            yield f"object {name}{' body' if name in self.bodies else ''}"
            yield from (f"  {line}" for line in self.objects[name])
        for name in sorted(self.enums):
            yield f"enum {name} {self.enums[name]}"


def content(holder):
    """The schema of what a request or an answer holds: as JSON if that can be chosen."""
    kinds = holder.get("content", {})
    for kind in ("application/json", "multipart/form-data"):
        if kind in kinds:
            return kinds[kind]["schema"]
    return None


def files(body):
    """The line about the files that a request can have."""
    kinds = body.get("content", {})
    form = kinds.get("multipart/form-data", {}).get("schema", {})
    properties = {}
    for part in [form, *form.get("allOf", [])]:
        properties |= part.get("properties", {})
    names = [n for n, kind in properties.items() if kind.get("contentEncoding") == "binary"]
    if not names:
        return []
    names = sorted({name.split("[")[0] for name in names})
    return [f"files {' '.join(names)}{'' if 'application/json' in kinds else ' form'}"]


def raw(response):
    """What the table writes for a body that is no JSON."""
    return " bytes" if response.get("content") else ""


def alternatives(schema):
    return schema.get("oneOf", []) + schema.get("anyOf", [])


def reference(schema):
    return schema["$ref"].rsplit("/", 1)[1]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        surface = Surface(json.load(file))
    surface.walk()
    print(HEAD)
    for line in surface.lines():
        print(line)


if __name__ == "__main__":
    main()
