import { z } from "zod";
import { packageVersion } from "../package-info.ts";
import { type ErrorShape, errorMeanings } from "./errors.ts";
import { defaultMaxBodyBytes } from "./read-request.ts";
import type { RouteDescription } from "./route.ts";

/** JSON of an OpenAPI 3.1 document. */
type Json = { [key: string]: unknown };

/** Describes routes in OpenAPI 3.1, from their descriptions alone. */
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
        "Amazon SES events in, signed webhooks out, and the truth about every email in between. Times are ISO 8601 in UTC. Unknown parameters and fields are ignored, but a parameter that is evidently meant as a filter is rejected.",
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

/** The limits are per API key; see `rate-limit.ts`. */
const headers = {
  "X-Request-Id": header("string", "The id that the request had, or a generated one"),
  "RateLimit-Limit": header("integer", "Requests per minute with this key"),
  "RateLimit-Remaining": header("integer", "Requests left now"),
  "RateLimit-Reset": header("integer", "Seconds until more requests are available"),
  "Retry-After": header("integer", "Seconds to wait before trying again"),
};
const limitHeaders = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] as const;

function header(type: "string" | "integer", description: string): Json {
  return { description, schema: { type } };
}

function headerRefs(names: readonly (keyof typeof headers)[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function operation(route: RouteDescription): Json {
  const scope = route.scope === "*" ? "Requires a key with all scopes." : `Scope \`${route.scope}\`.`;
  const maxKb = (route.maxBodyBytes ?? defaultMaxBodyBytes) / 1024;
  const size = route.body ? `The body may have up to ${maxKb} KB.` : "";
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
  return method + words.map(capitalized).join("");
}

function parameters(place: "path" | "query" | "header", schema: z.ZodType): Json[] {
  const { properties = {}, required = [] } = jsonSchema(schema);
  // The shape that zod gives an object.
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

const usualErrors = [400, 401, 403, 429, 500, 503] as const;
const bodyErrors = [413, 415] as const;

function errors(route: RouteDescription): Json {
  const statuses = [
    ...usualErrors,
    ...(route.body ? bodyErrors : []),
    ...(route.path.includes(":") ? ([404] as const) : []),
  ];
  const meanings: Readonly<Record<string, string>> = {
    ...Object.fromEntries(statuses.map((status) => [status, errorMeanings[status]])),
    ...route.errors,
  };
  return Object.fromEntries(
    Object.entries(meanings).map(([status, meaning]) => [
      status,
      failure(capitalized(meaning), status, route.errorShape),
    ]),
  );
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
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

/** The schema of what is sent: a request before transforms, an answer as handlers return it. */
function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...described } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override({ jsonSchema: part }) {
      // A format says the same in less; a parameter that is parsed as a number is described as a number.
      if (part.format !== undefined) delete part.pattern;
      if (part.type === "integer") for (const name of ["pattern", "maxLength"] as const) delete part[name];
    },
  });
  return described;
}
