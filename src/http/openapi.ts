import { z } from "zod";
import { packageVersion } from "../package-info.ts";
import type { ErrorShape } from "./errors.ts";
import { defaultMaxBodyBytes } from "./read-request.ts";
import type { RouteDescription } from "./route.ts";

/** JSON as it is in a document of OpenAPI 3.1. */
type Json = { [key: string]: unknown };

/**
 * Describes routes in OpenAPI 3.1: what they take, what they answer, and every error. Nothing is said here that a route
 * does not say of itself.
 */
export function openApiDocument(routes: readonly RouteDescription[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  const shapes = new Map(routes.map(({ errorShape }) => [errorShape.name, errorShape.schema]));
  return {
    openapi: "3.1.1",
    info: {
      title: "Fanmail",
      version: packageVersion,
      description:
        "Amazon SES events in, signed webhooks out, and the truth about every email in between. Times are ISO 8601 in UTC. Parameters and fields that are not known are ignored, but a parameter that is evidently meant as a filter is refused.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "./" }],
    security: [{ apiKey: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", bearerFormat: "sk_proj_…" } },
      schemas: Object.fromEntries([...shapes].map(([name, schema]) => [name, jsonSchema(schema)])),
      headers,
    },
  };
}

/** The limits are of the key; see `rate-limit.ts`. */
const headers = {
  "X-Request-Id": header("string", "The request's own id, or one that was made for it"),
  "RateLimit-Limit": header("integer", "Requests of this key in a minute"),
  "RateLimit-Remaining": header("integer", "How many of them are left"),
  "RateLimit-Reset": header("integer", "Seconds until there are more"),
  "Retry-After": header("integer", "Seconds after which to try again"),
};
const limitHeaders = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] as const;

function header(type: "string" | "integer", description: string): Json {
  return { description, schema: { type } };
}

function headerRefs(names: readonly (keyof typeof headers)[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function operation(route: RouteDescription): Json {
  const scope = route.scope === "*" ? "A key of all scopes." : `Scope \`${route.scope}\`.`;
  const maxKb = (route.maxBodyBytes ?? defaultMaxBodyBytes) / 1024;
  const size = route.body ? `A body has at most ${maxKb} KB.` : "";
  return {
    operationId: operationId(route),
    summary: route.summary,
    description: [route.description, scope, size].filter(Boolean).join("\n\n"),
    tags: [route.tag],
    security: [{ apiKey: [route.scope] }],
    parameters: [
      ...parameters("path", route.params),
      ...parameters("query", route.query),
      ...parameters("header", z.object(route.headers ?? {})),
    ],
    ...(route.body && {
      requestBody: { required: true, content: { "application/json": { schema: jsonSchema(route.body) } } },
    }),
    responses: { [route.status]: success(route), ...errors(route) },
  };
}

/** `getV1ActivityById`: unique, because method and path are. */
function operationId({ method, path }: RouteDescription): string {
  const words = path.replaceAll(":", "by-").split(/[^A-Za-z0-9]+/);
  return method + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
}

function parameters(place: "path" | "query" | "header", schema: z.ZodType): Json[] {
  const { properties = {}, required = [] } = jsonSchema(schema);
  // What zod makes of an object.
  const names = Object.entries(properties as Record<string, Json>);
  const needed = new Set(required as string[]);
  return names.map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: needed.has(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

function success({ answer, summary }: RouteDescription): Json {
  const content =
    answer.kind === "json"
      ? { "application/json": { schema: jsonSchema(answer.schema) } }
      : { "text/csv": { schema: { type: "string", description: `Columns: ${answer.columns.join(", ")}` } } };
  return { description: summary, headers: headerRefs(["X-Request-Id", ...limitHeaders]), content };
}

const usualErrors: Readonly<Record<number, string>> = {
  400: "The request is wrong; the message names the field",
  401: "The API key is missing, unknown or revoked",
  403: "The API key lacks the scope",
  429: "Too many requests of this key in a minute",
  500: "A fault of ours, to be asked about by its request_id",
  503: "It cannot be done now; try again",
};
const bodyErrors = { 413: "The body is too large", 415: "The body is not JSON in UTF-8" };
const notFoundError = { 404: "It does not exist, or belongs to another project" };

function errors(route: RouteDescription): Json {
  const descriptions = {
    ...usualErrors,
    ...(route.body && bodyErrors),
    ...(route.path.includes(":") && notFoundError),
    ...route.errors,
  };
  return Object.fromEntries(
    Object.entries(descriptions).map(([status, text]) => [status, failure(text, status, route.errorShape)]),
  );
}

function failure(description: string, status: string, { name }: ErrorShape): Json {
  const isAfterLimit = status !== "401" && status !== "403";
  return {
    description,
    headers: headerRefs([
      "X-Request-Id",
      ...(isAfterLimit ? limitHeaders : []),
      ...(status === "429" || status === "503" ? (["Retry-After"] as const) : []),
    ]),
    content: { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } },
  };
}

/** What is sent: before transforms of a request, and as handlers make an answer. */
function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...described } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override({ jsonSchema: part }) {
      // Formats say it, and shorter; a parameter that is read as a number is one.
      if (part.format !== undefined) delete part.pattern;
      if (part.type === "integer") for (const name of ["pattern", "maxLength"] as const) delete part[name];
    },
  });
  return described;
}
