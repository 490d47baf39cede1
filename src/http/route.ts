import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Express, Request, Response } from "express";
import { z } from "zod";
import type { Scope } from "../domain/api-key.ts";
import { exactJson } from "../domain/exact-json.ts";
import type { Authenticate, Caller } from "./auth.ts";
import { type ErrorShape, nativeErrors, parseInput, useErrorShape } from "./errors.ts";
import { addToQuery, type Query, readJson, readQuery, readQueryBody, refuseBody } from "./read-request.ts";
import { assertNoMisspelling, assertUnderstood, type Vocabulary } from "./understood-names.ts";

/** What a handler is given: all of it checked. */
export type Input<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> = {
  caller: Caller;
  params: z.output<Params>;
  query: z.output<Query>;
  body: z.output<Body>;
  /** Lower-cased names. Of the request's own headers, those that the route declares. */
  headers: Readonly<Record<string, string | undefined>>;
  /** Adds a header to the answer. */
  setHeader(name: string, value: string): void;
};

type Described<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> = {
  method: "get" | "post" | "patch" | "delete";
  /** As Express writes it: `/v1/activity/:id`. */
  path: string;
  /** `*`: only a key of all scopes. */
  scope: Scope | "*";
  /** One line, for the list of operations. */
  summary: string;
  /** What the schemas do not tell, in Markdown. */
  description?: string;
  /** The group in the documentation. */
  tag: string;
  params: Params;
  query: Query;
  /** Without it, a GET or DELETE with a body is refused, and the body of a POST is not read. */
  body?: Body;
  /** Whether the query may also come as a body of JSON, because the API that is spoken here documents that. */
  queryInBody?: boolean;
  /** Whether a field that looks like a misspelled one is refused: what it was to limit would be done in full. */
  refusesMisspelling?: boolean;
  /** Of a body, in bytes; of more: 413. */
  maxBodyBytes?: number;
  /** Request headers that are read, beside Authorization: each a schema of a string. */
  headers?: Readonly<Record<string, z.ZodType<string | undefined>>>;
  /** Statuses of errors that only this route answers with, and when. */
  errors?: Readonly<Record<number, string>>;
  /** How errors look; those of the native API unless said. */
  errorShape?: ErrorShape;
};

/** One operation of the API that answers JSON: everything about it in one place. */
export type JsonRoute<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> = Described<Params, Query, Body> & {
  /** 200 unless said. */
  status?: 200 | 201 | 202;
  answer: Answer;
  handle(input: Input<Params, Query, Body>): Promise<z.input<Answer>>;
};

/** One operation that answers CSV of any size, piece by piece. */
export type CsvRoute<Params extends z.ZodType, Query extends z.ZodType> = Described<
  Params,
  Query,
  z.ZodUndefined
> & {
  /** The heads of the columns, in order. */
  columns: readonly string[];
  rows(input: Input<Params, Query, z.ZodUndefined>): AsyncIterable<string>;
};

/** What stands before every route: who asks, and whether they may ask now. */
export type Gate = {
  authenticate: Authenticate;
  /** Counts a request of a key. @throws ApiError 429; sets the headers of the limit. */
  admit(caller: Caller, response: Response): Promise<void>;
  /** What all routes know. */
  vocabularies: readonly Vocabulary[];
};

/** A route as the documentation sees it. */
export type RouteDescription = Described<z.ZodType, z.ZodType, z.ZodType> & {
  status: number;
  errorShape: ErrorShape;
  answer: { kind: "json"; schema: z.ZodType } | { kind: "csv"; columns: readonly string[] };
};

/** A route whose own types are known to itself alone. */
export type AnyRoute = { description: RouteDescription; register(app: Express, gate: Gate): void };

/** Checks a caller and the input before `handle` sees them. */
export function defineRoute<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Answer extends z.ZodType,
  Body extends z.ZodType = z.ZodUndefined,
>(route: JsonRoute<Params, Query, Body, Answer>): AnyRoute {
  const { status = 200, errorShape = nativeErrors } = route;
  const shown = { kind: "json" as const, schema: route.answer };
  const description = { ...route, status, errorShape, answer: shown };
  return {
    description,
    register(app, gate) {
      app[route.method](route.path, async (request: Request, response: Response) => {
        const answer = await route.handle(await readInput(description, gate, request, response));
        response.status(status).type("json").send(exactJson(answer));
      });
    },
  };
}

/** As `defineRoute`, for an answer that is streamed; a failure after its first row cuts the connection. */
export function defineCsvRoute<Params extends z.ZodType, Query extends z.ZodType>(
  route: CsvRoute<Params, Query>,
): AnyRoute {
  const { errorShape = nativeErrors } = route;
  const shown = { kind: "csv" as const, columns: route.columns };
  const description = { ...route, status: 200, errorShape, answer: shown };
  return {
    description,
    register(app, gate) {
      app[route.method](route.path, async (request: Request, response: Response) => {
        const input = await readInput(description, gate, request, response);
        const pages = await started(route.rows(input));
        response.attachment(basename(route.path)).type("text/csv; charset=utf-8");
        await pipeline(Readable.from(pages, { objectMode: false }), response);
      });
    },
  };
}

/** Waits for the first piece, so that a failure before it is still an answer of its own. */
async function started(pieces: AsyncIterable<string>): Promise<AsyncIterable<string>> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    for (let piece = first; !piece.done; piece = await iterator.next()) yield piece.value;
  })();
}

async function readInput<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType>(
  route: RouteDescription & Described<Params, Query, Body>,
  gate: Gate,
  request: Request,
  response: Response,
): Promise<Input<Params, Query, Body>> {
  useErrorShape(response, route.errorShape);
  const caller = await gate.authenticate(request.headers.authorization, route.scope);
  await gate.admit(caller, response);
  const params = parseInput(route.params, request.params);
  const query = parseInput(route.query, await givenQuery(route, gate, request, response), ", given once");
  const headers = readHeaders(route.headers ?? {}, request);
  // Without a schema the body's type is that of undefined, which zod cannot know.
  const body = (await readBody(route, request, response)) as z.output<Body>;
  const setHeader = (name: string, value: string) => void response.setHeader(name, value);
  return { caller, params, query, body, headers, setHeader };
}

async function givenQuery(
  route: RouteDescription,
  { vocabularies }: Gate,
  request: Request,
  response: Response,
): Promise<Query> {
  const inUrl = readQuery(request.url);
  const query = route.queryInBody ? addToQuery(inUrl, await readQueryBody(request, response)) : inUrl;
  assertUnderstood(Object.keys(query), vocabularyOf(route), vocabularies);
  return query;
}

async function readBody(route: RouteDescription, request: Request, response: Response): Promise<unknown> {
  const isBodyExpected = route.method === "post" || route.queryInBody;
  if (route.body === undefined) return isBodyExpected ? undefined : refuseBody(request, response);
  const json = await readJson(request, response, route.maxBodyBytes);
  const body = parseInput(route.body, json);
  if (route.refusesMisspelling) assertNoMisspelling(Object.keys(Object(json)), fieldsOf(route.body));
  return body;
}

/** The names that a route knows. */
export function vocabularyOf(route: RouteDescription): Vocabulary {
  const shown = route.answer.kind === "csv" ? route.answer.columns : rowFieldsOf(route.answer.schema);
  return {
    title: `${route.method.toUpperCase()} ${route.path}`,
    parameters: fieldsOf(route.query),
    fields: [...fieldsOf(route.body), ...shown],
  };
}

/** The fields of what an answer holds in `data`: one thing, or a list of them. */
function rowFieldsOf(answer: z.ZodType): string[] {
  const data = answer instanceof z.ZodObject ? answer.shape["data"] : undefined;
  return fieldsOf(data instanceof z.ZodArray ? data.element : data);
}

function fieldsOf(schema: unknown): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function readHeaders(
  declared: NonNullable<Described<z.ZodType, z.ZodType, z.ZodType>["headers"]>,
  request: Request,
): Record<string, string | undefined> {
  const names = Object.keys(declared);
  const given = Object.fromEntries(names.map((name) => [name, request.get(name)]));
  return parseInput(z.object(declared), given);
}
