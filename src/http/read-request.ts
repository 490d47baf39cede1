import { isUtf8 } from "node:buffer";
import express, { type Request, type Response } from "express";
import { z } from "zod";
import { ExactNumber, parseExactJson } from "../domain/exact-json.ts";
import { ApiError } from "./errors.ts";

export type Query = Record<string, string | string[]>;

/**
 * Reads the query of a URL; a parameter that is given several times has all its values.
 * @throws ApiError 400 that names a parameter that is not URL-encoded: ignoring it could ignore a filter.
 */
export function readQuery(url: string): Query {
  const [, text = ""] = /\?([^#]*)/.exec(url) ?? [];
  const parts = text.split("&").filter((part) => part !== "");
  return collect(parts.map(readPart));
}

/** Adds parameters; an existing one is then given twice. */
export function addToQuery(query: Query, more: readonly (readonly [string, string])[]): Query {
  const given = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, one] as const),
  );
  return collect([...given, ...more]);
}

function readPart(part: string): readonly [string, string] {
  const equals = part.indexOf("=");
  const name = decoded(equals < 0 ? part : part.slice(0, equals));
  const value = decoded(equals < 0 ? "" : part.slice(equals + 1));
  if (name === null || value === null) {
    throw new ApiError(400, `${name ?? "The query"} is not URL-encoded UTF-8; write %25 for a percent sign`);
  }
  return [name, value];
}

/** @returns null if a `%` is not followed by two digits, or the bytes are not UTF-8. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

function collect(pairs: readonly (readonly [string, string])[]): Query {
  const values = new Map<string, string[]>();
  for (const [name, value] of pairs) values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries(
    [...values].map(([name, [first = "", ...more]]) => [name, more.length ? [first, ...more] : first]),
  );
}

/** Of routes that do not set another limit. */
export const defaultMaxBodyBytes = 256 * 1024;

/** Reads a JSON body. @throws ApiError 400, 413 or 415 */
export async function readJson(
  request: Request,
  response: Response,
  maxBytes = defaultMaxBodyBytes,
): Promise<unknown> {
  if (!request.is("application/json")) {
    throw new ApiError(415, "The body must be JSON, with the header Content-Type: application/json");
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(request.get("content-type") ?? "")?.[1];
  if (charset !== undefined && !utf8.test(charset)) throw new ApiError(415, "The body must be JSON in UTF-8");
  return parseBody(await readBody(request, response, maxBytes));
}

/** Usual spellings of UTF-8; ASCII is a subset of it. */
const utf8 = /^(utf[-_]?8|(us-)?ascii)$/i;

/** What else Express decodes depends on the version of Node. */
const encodings = ["identity", "gzip", "deflate", "br"];

/**
 * Reads a body of any type.
 * @returns the body after decompression; empty if there is none.
 * @throws ApiError 400, 413 or 415
 */
async function readBody(request: Request, response: Response, maxBytes: number): Promise<Buffer> {
  if (!encodings.includes(request.get("content-encoding")?.toLowerCase() ?? "identity")) {
    throw new ApiError(415, "The body's Content-Encoding must be gzip, deflate, br or none");
  }
  const read = express.raw({ limit: maxBytes, type: () => true });
  try {
    await new Promise<void>((resolve, reject) => {
      read(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw bodyError(error, maxBytes);
  }
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
}

/** An empty body is `{}`. @throws ApiError 400 */
function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  // Decoding would replace invalid bytes with U+FFFD.
  if (!isUtf8(body)) throw new ApiError(400, "The body is not UTF-8");
  try {
    return parseExactJson(body.toString().replace(/^\ufeff/, ""));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ApiError(400, "The body is not JSON");
  }
}

/**
 * Rejects a body that would be ignored. `{}` and `null`, which some clients send instead of no body, are accepted.
 * @throws ApiError 400
 */
export async function refuseBody(request: Request, response: Response): Promise<void> {
  const isChunked = request.get("transfer-encoding") !== undefined;
  const bytes = isChunked
    ? (await readBody(request, response, maxQueryBytes)).length
    : Number(request.get("content-length") ?? 0);
  if (bytes <= "null".length) return;
  throw new ApiError(400, `A ${request.method} takes no body; put parameters into the URL`);
}

const maxQueryBytes = 16 * 1024;

/**
 * Reads parameters from a JSON body with any Content-Type: `{"page": 2, "filter": {"type": "x"}}` is
 * `page=2&filter[type]=x`; null is ignored. @throws ApiError 400, 413 or 415
 */
export async function readQueryBody(request: Request, response: Response): Promise<[string, string][]> {
  const json = parseBody(await readBody(request, response, maxQueryBytes));
  const parsed = QueryBody.safeParse(json);
  if (!parsed.success) throw new ApiError(400, "The body must be an object of parameters and their values");
  return Object.entries(parsed.data).flatMap(([name, value]) =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, one]) => parameter(`${name}[${key}]`, one))
      : parameter(name, value),
  );
}

const QueryValue = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const QueryBody = z.record(z.string(), z.union([QueryValue, z.record(z.string(), QueryValue)]));

function parameter(name: string, value: z.infer<typeof QueryValue>): [string, string][] {
  return value === null ? [] : [[name, String(value)]];
}

const ParserError = z.looseObject({ type: z.string(), status: z.number() });

function bodyError(error: unknown, maxBytes: number): unknown {
  const parsed = ParserError.safeParse(error);
  switch (parsed.data?.type) {
    case "entity.too.large":
      return new ApiError(413, `The body is larger than ${maxBytes} bytes`);
    default:
      return isFromZlib(error) ? new ApiError(400, "The body is not what its Content-Encoding says") : error;
  }
}

/** Codes of zlib and brotli are, for example, Z_DATA_ERROR and ERR__ERROR_FORMAT_PADDING_1. */
function isFromZlib(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(Z_|ERR_)/.test(String(error.code));
}

/**
 * Parses input by its schema.
 * @param ofList is added to the message when the input is a list but should not be: the parameter may be given twice.
 * @throws ApiError 400 that names the first invalid field, as in `events[2].email must be …`.
 */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  ofList = "",
): z.output<Schema> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = (issue?.path ?? []).reduce<string>(appendPath, "");
  throw new ApiError(400, `${field || "The request"} ${describe(issue, ofList)}`);
}

function appendPath(path: string, part: PropertyKey): string {
  if (typeof part === "number") return `${path}[${part}]`;
  return path === "" ? String(part) : `${path}.${String(part)}`;
}

const isNumber: ReadonlySet<string> = new Set(["number", "int"]);

function describe(issue: z.core.$ZodIssue | undefined, ofList: string): string {
  if (issue?.code === "invalid_type") {
    if (issue.input === undefined) return "is required";
    if (issue.input instanceof ExactNumber && isNumber.has(issue.expected)) return "has too many digits";
    const hint = Array.isArray(issue.input) ? ofList : "";
    return `must be ${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}${hint}`;
  }
  return issue?.message ?? "is not accepted";
}
