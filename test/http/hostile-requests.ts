import { gzipSync } from "node:zlib";
import fc, { type Arbitrary } from "fast-check";
import type { Operation } from "../support/api-contract.ts";

/** A request as it goes over the wire, whatever it holds. */
export type HostileRequest = {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
};

const lone = "\ud800";
const deep = (levels: number) => `${'{"a":['.repeat(levels)}1${"]}".repeat(levels)}`;

/** Texts that have broken somebody before. */
const hostileText = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\u0000",
    "a\u0000b",
    lone,
    "\udc00",
    "null",
    "undefined",
    "NaN",
    "__proto__",
    "constructor",
    "toString",
    "'; drop table events; --",
    '"',
    "\\",
    "%",
    "%s%n",
    "../../etc/passwd",
    "{{7*7}}",
    "#{7*7}",
    "<script>alert(1)</script>",
    "=1+1",
    "\r\nX-Injected: 1",
    "\ufeff",
    "\u202e",
    "ﬁ",
    "İ",
    "ß@ß.example",
    "🤖".repeat(200),
    "x".repeat(5_000),
    "0",
    "-1",
    "1.5",
    "1e3",
    "9".repeat(30),
    "0x10",
    "١",
    "true",
    "[]",
    "{}",
    "2026-02-30",
    "2026-01-01T00:00:00",
    "2026-01-01T24:00:00Z",
    "0000-01-01",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "-000001-01-01T00:00:00Z",
    "+275760-09-13T00:00:00Z",
    "2026-01-01T00:00:00.123456789Z",
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "ffffffffffffffff",
    "zzzzzzzzzzzzzzzz",
    "jane@example.com",
    "JANE@EXAMPLE.COM ",
    `${"j".repeat(300)}@example.com`,
    "jane@@example.com",
    "@",
    "jane@\u0000.com",
    "Jane <jane@example.com>",
  ),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
);

const hostileValue: Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: hostileText },
  fc.constantFrom(null, true, false, 0, -1, 1.5, 1e308, -0, 2 ** 53, [], {}, [[]], [null], { length: 1 }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.constant({ toString: "x", valueOf: 1 }),
);

type Schema = {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: object[];
  properties?: Record<string, object>;
  required?: string[];
  items?: object;
  format?: string;
};

/** How many values in a hundred are not what the schema describes. */
type Wildness = 0 | 5 | 25;

function valueFor(schema: Schema, name: string, wildness: Wildness): Arbitrary<unknown> {
  const described = describedValue(schema, name, wildness);
  if (wildness === 0) return described;
  return fc.oneof(
    { weight: 100 - wildness, arbitrary: described },
    { weight: wildness, arbitrary: hostileValue },
  );
}

function describedValue(schema: Schema, name: string, wildness: Wildness): Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => describedValue(one, name, wildness)));
  switch (schema.type) {
    case "object":
      return schema.properties
        ? objectOf(schema.properties, schema.required ?? [], wildness)
        : fc.dictionary(fc.string(), wildness === 0 ? fc.jsonValue() : hostileValue, { maxKeys: 4 });
    case "array":
      return fc.array(valueFor(schema.items ?? {}, name, wildness), { minLength: 1, maxLength: 4 });
    case "integer":
      return fc.integer({ min: 1, max: 300 });
    case "string":
      return describedText(schema, name);
    default:
      // What is described in words.
      return fc.oneof(fc.constant({ viewitem: { sku: "A-1" } }), hostileValue);
  }
}

function objectOf(
  properties: Record<string, object>,
  required: readonly string[],
  wildness: Wildness,
): Arbitrary<object> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, part]) => [name, valueFor(part, name, wildness)]),
  );
  return fc.record(fields, { requiredKeys: wildness === 0 ? [...required] : [] });
}

const address = fc.constantFrom("jane@example.com", "kim@example.org", "New.Person@Example.net");
const pastDay = fc.constantFrom("2026-01-31T12:00:00Z", "2025-12-31", "2026-02-01T10:00:00.123+02:00");

function describedText({ format }: Schema, name: string): Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (name === "email") return address;
  if (["since", "until", "timestamp"].includes(name)) return pastDay;
  return fc.oneof(fc.constantFrom("confirmation", "login", "example.com"), fc.string({ minLength: 1 }));
}

/** What a client can put into a URL: also bytes that are no UTF-8. */
function urlText(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll("%EF%BF%BD", "%ED%A0%80");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

const queryName = (name: string) =>
  fc.constantFrom(name, name, name, name, name, `${name}[]`, `${name}[x]`, name.toUpperCase());

function queryOf({ parameters }: Operation, wildness: Wildness): Arbitrary<string> {
  const given = parameters
    .filter((parameter) => parameter.in === "query")
    .map(({ name, schema }) =>
      fc.option(
        fc
          .tuple(
            queryName(name),
            fc.array(valueFor(schema, name, wildness), { minLength: 1, maxLength: wildness === 0 ? 1 : 2 }),
          )
          .map(([as, values]) =>
            // Given twice now and then.
            values.map((value) => `${urlText(as)}=${urlText(textOf(value))}`).join("&"),
          ),
      ),
    );
  const unknown = fc.option(fc.tuple(hostileText, hostileText).map((pair) => pair.map(urlText).join("=")));
  return fc.tuple(...given, unknown).map((parts) => parts.filter((part) => part !== null).join("&"));
}

function pathOf(template: string, ids: readonly string[]): Arbitrary<string> {
  const id = fc.oneof(
    fc.constantFrom(...ids),
    hostileText.filter((text) => !/^\.*$/.test(text)),
    fc.uuid(),
  );
  return id.map((text) => template.replace(/\{\w+\}/, urlText(text)));
}

/** JSON of a value, also with what only its text can say. */
function bodyOf(value: unknown, wildness: Wildness): Arbitrary<string | Uint8Array<ArrayBuffer>> {
  const text = JSON.stringify(value) ?? "";
  if (wildness === 0) return fc.constant(text);
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(text) },
    fc.constantFrom(
      "",
      " ",
      "null",
      "[]",
      "0",
      '"text"',
      text.slice(0, -1),
      `${text}x`,
      `\ufeff${text}`,
      text.replace("{", '{"__proto__":{"polluted":true},'),
      text.replace("{", '{"email":1,"email":2,'),
      text.replace(/:"/, ':"\\ud800'),
      text.replace(/:"/, ':"\\u0000'),
      text.replace(/:/, `:${deep(40)},"more":`),
      text.replace(/:/, `:${deep(20_000)},"more":`),
      text.replace(/:/, ':1e999,"more":'),
      `${"[".repeat(100_000)}`,
    ),
    fc.constant(Buffer.from(text, "utf16le")),
    fc.constant(Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xfe])])),
    fc.constant(gzipSync(text)),
    // Often enough that a short run has some.
    { weight: 3, arbitrary: fc.constant(`"${"x".repeat(1_100_000)}"`) },
    fc.uint8Array({ maxLength: 40 }),
  );
}

const headersOf = ({ parameters, requestBody }: Operation) =>
  fc.record({
    "content-type": fc.constantFrom(
      ...Array.from({ length: 10 }, () => "application/json"),
      "application/json; charset=utf-8",
      "application/json; charset=latin1",
      "application/vnd.api+json",
      "text/plain",
      "multipart/form-data",
      "x",
    ),
    ...(requestBody && {
      "content-encoding": fc.constantFrom(...Array.from({ length: 10 }, () => ""), "gzip", "br", "zstd", "x"),
    }),
    ...Object.fromEntries(
      parameters
        .filter((parameter) => parameter.in === "header")
        .map(({ name }) => [name, fc.string({ unit: "grapheme-ascii", maxLength: 300 })]),
    ),
  });

/** Requests for an operation, from documented ones to hostile ones. */
export function hostileRequests(
  template: string,
  method: string,
  operation: Operation,
  ids: readonly string[],
): Arbitrary<HostileRequest> {
  return fc.constantFrom<Wildness>(0, 5, 25).chain((wildness) => {
    const schema = operation.requestBody?.content["application/json"].schema;
    const body = schema
      ? valueFor(schema, "", wildness).chain((value) => bodyOf(value, wildness))
      : fc.constant(undefined);
    const headers =
      wildness === 25 ? headersOf(operation) : fc.constant({ "content-type": "application/json" });
    return fc
      .tuple(pathOf(template, ids), queryOf(operation, wildness), headers, body)
      .map(([path, query, given, sent]) => ({
        method: method.toUpperCase(),
        path: query === "" ? path : `${path}?${query}`,
        headers: Object.fromEntries(
          Object.entries(given).filter(([, one]) => typeof one === "string" && one !== ""),
        ) as Record<string, string>,
        ...(sent !== undefined && { body: sent }),
      }));
  });
}
