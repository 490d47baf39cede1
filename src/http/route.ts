import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Express, Request, Response } from "express";
import { z } from "zod";
import type { Context } from "../context.ts";
import type { Scope } from "../domain/api-key.ts";
import { exactJson } from "../domain/exact-json.ts";
import type { Authenticate, Caller } from "./auth.ts";
import { type ErrorShape, nativeErrors, useErrorShape } from "./errors.ts";
import {
  addToQuery,
  parseInput,
  type Query,
  readJson,
  readQuery,
  readQueryBody,
  refuseBody,
} from "./read-request.ts";
import { type KnownNames, refuseMeantFilters, refuseMisspelledFields } from "./unknown-names.ts";

/** The part of the context that routes use. */
export type ApiContext = Pick<
  Context,
  | "db"
  | "partitions"
  | "clock"
  | "log"
  | "queues"
  | "config"
  | "secretBox"
  | "addressGuard"
  | "webhookConnections"
  | "metrics"
  | "tracing"
>;

/** The input of a handler, validated. */
export type Input<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> = {
  caller: Caller;
  params: z.output<Params>;
  query: z.output<Query>;
  body: z.output<Body>;
  /** Those request headers that the route declares, by lower-cased names. */
  headers: Readonly<Record<string, string | undefined>>;
  /** Adds a header to the response. */
  setHeader(name: string, value: string): void;
};

type Described<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> = {
  method: "get" | "post" | "patch" | "delete";
  /** In the form of Express: `/v1/activity/:id`. */
  path: string;
  /** `*`: only a key with all scopes. */
  scope: Scope | "*";
  /** One line, for the list of operations. */
  summary: string;
  /** What the schemas do not say, in Markdown. */
  description?: string;
  /** The group in the documentation. */
  tag: string;
  /** Of the path; a route without it has none. */
  params?: Params;
  /** A route without it takes no parameters. */
  query?: Query;
  /** Without it, a GET or DELETE with a body is rejected, and the body of a POST is not read. */
  body?: Body;
  /** Whether the query may also come as a JSON body, as the API of a dialect documents it. */
  queryInBody?: boolean;
  /** Whether a misspelled field is rejected: without the limit that it was meant to set, too much would be done. */
  refusesMisspelling?: boolean;
  /** A larger body is answered with 413. */
  maxBodyBytes?: number;
  /** The request headers that the route reads beside Authorization, each a schema of a string. */
  headers?: Readonly<Record<string, z.ZodType<string | undefined>>>;
  /** Errors of this route, and when they are answered. */
  errors?: Readonly<Record<number, string>>;
  /** Default: that of the native API. */
  errorShape?: ErrorShape;
};

/** An operation of the API that answers JSON: everything about it in one place. */
export type JsonRoute<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> = Described<Params, Query, Body> & {
  /** Default: 200. */
  status?: 200 | 201 | 202;
  answer: Answer;
  handle(input: Input<Params, Query, Body>): Promise<z.input<Answer>>;
};

/** An operation that streams CSV of any size. */
export type CsvRoute<Params extends z.ZodType, Query extends z.ZodType> = Described<
  Params,
  Query,
  z.ZodUndefined
> & {
  /** The names of the columns, in order. */
  columns: readonly string[];
  rows(input: Input<Params, Query, z.ZodUndefined>): AsyncIterable<string>;
};

/** The checks before every route: who the client is, and whether it may make another request now. */
export type Gate = {
  authenticate: Authenticate;
  /** Counts a request and sets the headers of the rate limit. @throws ApiError 429 */
  admit(caller: Caller, response: Response): Promise<void>;
  /** The names that each route knows. */
  known: readonly KnownNames[];
};

/** What the documentation needs to know about a route. */
export type RouteDescription = Described<z.ZodType, z.ZodType, z.ZodType> & {
  params: z.ZodType;
  query: z.ZodType;
  status: number;
  errorShape: ErrorShape;
  answer: { kind: "json"; schema: z.ZodType } | { kind: "csv"; columns: readonly string[] };
};

/** A route without its type parameters. */
export type AnyRoute = { description: RouteDescription; register(app: Express, gate: Gate): void };

const noFields = z.object({});
const defaults = { params: noFields, query: noFields, errorShape: nativeErrors };

/** Authenticates the client and validates the input, then calls `handle`. */
export function defineRoute<
  Answer extends z.ZodType,
  Params extends z.ZodType = typeof noFields,
  Query extends z.ZodType = typeof noFields,
  Body extends z.ZodType = z.ZodUndefined,
>(route: JsonRoute<Params, Query, Body, Answer>): AnyRoute {
  const { status = 200 } = route;
  const answer = { kind: "json" as const, schema: route.answer };
  const description = { ...defaults, ...route, status, answer };
  return {
    description,
    register(app, gate) {
      app[route.method](route.path, async (request: Request, response: Response) => {
        const input = await readInput<Params, Query, Body>(description, gate, request, response);
        const result = await route.handle(input);
        response.status(status).type("json").send(exactJson(result));
      });
    },
  };
}

/** As `defineRoute`, for a streamed response; a failure after its first row cuts the connection. */
export function defineCsvRoute<
  Params extends z.ZodType = typeof noFields,
  Query extends z.ZodType = typeof noFields,
>(route: CsvRoute<Params, Query>): AnyRoute {
  const answer = { kind: "csv" as const, columns: route.columns };
  const description = { ...defaults, ...route, status: 200, answer };
  return {
    description,
    register(app, gate) {
      app[route.method](route.path, async (request: Request, response: Response) => {
        const input = await readInput<Params, Query, z.ZodUndefined>(description, gate, request, response);
        const pages = await started(route.rows(input));
        response.attachment(basename(route.path)).type("text/csv; charset=utf-8");
        await pipeline(Readable.from(pages, { objectMode: false }), response);
      });
    },
  };
}

/** Waits for the first piece, so that a failure before it still gets an error response. */
async function started(pieces: AsyncIterable<string>): Promise<AsyncIterable<string>> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    for (let piece = first; !piece.done; piece = await iterator.next()) yield piece.value;
  })();
}

async function readInput<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType>(
  route: RouteDescription,
  gate: Gate,
  request: Request,
  response: Response,
): Promise<Input<Params, Query, Body>> {
  useErrorShape(response, route.errorShape);
  const caller = await gate.authenticate(request.headers.authorization, route.scope);
  await gate.admit(caller, response);
  // The description has lost the types of its schemas; a schema that a route leaves out has the type of its default.
  const params = parseInput(route.params, request.params) as z.output<Params>;
  const given = await givenQuery(route, gate, request, response);
  const query = parseInput(route.query, given, ", given once") as z.output<Query>;
  const headers = readHeaders(route.headers ?? {}, request);
  const body = (await readBody(route, request, response)) as z.output<Body>;
  const setHeader = (name: string, value: string) => void response.setHeader(name, value);
  return { caller, params, query, body, headers, setHeader };
}

async function givenQuery(
  route: RouteDescription,
  { known }: Gate,
  request: Request,
  response: Response,
): Promise<Query> {
  const inUrl = readQuery(request.url);
  const query = route.queryInBody ? addToQuery(inUrl, await readQueryBody(request, response)) : inUrl;
  refuseMeantFilters(Object.keys(query), namesKnownTo(route), known);
  return query;
}

async function readBody(route: RouteDescription, request: Request, response: Response): Promise<unknown> {
  const isBodyExpected = route.method === "post" || route.queryInBody;
  if (route.body === undefined) return isBodyExpected ? undefined : refuseBody(request, response);
  const json = await readJson(request, response, route.maxBodyBytes);
  const body = parseInput(route.body, json);
  if (route.refusesMisspelling) refuseMisspelledFields(Object.keys(Object(json)), fieldsOf(route.body));
  return body;
}

export function namesKnownTo(route: RouteDescription): KnownNames {
  const shown = route.answer.kind === "csv" ? route.answer.columns : rowFieldsOf(route.answer.schema);
  return {
    title: `${route.method.toUpperCase()} ${route.path}`,
    parameters: fieldsOf(route.query),
    fields: [...fieldsOf(route.body), ...shown],
  };
}

/** The fields of an answer's `data`, which is an object or a list of objects. */
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
