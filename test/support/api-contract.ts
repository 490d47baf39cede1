import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** As much of an OpenAPI document as tests read. */
type OpenApi = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
};
export type Operation = {
  operationId: string;
  parameters: { name: string; in: "path" | "query" | "header"; required: boolean; schema: object }[];
  requestBody?: { content: { "application/json": { schema: object } } };
  responses: Record<
    string,
    { headers: Record<string, unknown>; content: Record<string, { schema: object }> }
  >;
};

/** Holds answers to what `/openapi.json` promises. */
export type ApiContract = {
  document: OpenApi;
  /** Fails when an answer is not as it is documented; of routes that are not documented nothing is asked. */
  check(method: string, path: string, answer: Response): Promise<void>;
};

let contract: Promise<ApiContract> | undefined;

/** Read once for each test file: all services are of one version. @param url of any service. */
export function apiContract(url: string): Promise<ApiContract> {
  contract ??= readContract(url);
  return contract;
}

async function readContract(url: string): Promise<ApiContract> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi;
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    ajv.addSchema(closed(schema) as object, `#/components/schemas/${name}`);
  }
  const validators = new Map<string, ValidateFunction>();

  function validatorOf(name: string, schema: object): ValidateFunction {
    const known = validators.get(name) ?? ajv.compile(closed(schema) as object);
    validators.set(name, known);
    return known;
  }

  return {
    document,
    async check(method, path, answer) {
      const operation = operationOf(document, method, path);
      if (operation === null) return;
      const name = `${operation.operationId} ${answer.status}`;
      const documented = operation.responses[answer.status];
      if (documented === undefined) throw new Error(`${name} is not documented`);
      const type = answer.headers.get("content-type")?.split(";")[0] ?? "no content type";
      const content = documented.content[type];
      if (content === undefined) throw new Error(`${name} is documented, but not as ${type}`);
      const missing = Object.keys(documented.headers).filter((header) => answer.headers.get(header) === null);
      if (missing.length > 0) throw new Error(`${name} lacks the header ${missing.join(" and ")}`);
      if (type !== "application/json") return;
      const validate = validatorOf(name, content.schema);
      const body: unknown = await answer.clone().json();
      if (!validate(body)) {
        throw new Error(
          `${name} is not as documented: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`,
        );
      }
    },
  };
}

function operationOf(document: OpenApi, method: string, path: string): Operation | null {
  const pathname = path.split(/[?#]/)[0] ?? "";
  if (!isDecodable(pathname)) return null;
  const matching = Object.entries(document.paths).filter(([template]) =>
    new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}/?$`, "i").test(pathname),
  );
  // `/v1/activity.csv` before `/v1/{name}`: a path of its own wins, as it does in the service.
  matching.sort(([one], [other]) => one.split("{").length - other.split("{").length);
  return matching.map(([, operations]) => operations[method.toLowerCase()]).find(Boolean) ?? null;
}

/** What is not URL-encoded is refused before there is a route. */
function isDecodable(pathname: string): boolean {
  try {
    decodeURIComponent(pathname);
    return true;
  } catch {
    return false;
  }
}

/** Documents leave room for fields to come; an answer of today has those that are documented, and no others. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, closed(part)]));
  return "properties" in parts ? { additionalProperties: false, ...parts } : parts;
}
