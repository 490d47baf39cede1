import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../src/config.ts";
import { type Context, type ContextOptions, openContext } from "../../src/context.ts";
import { type Roles, startService } from "../../src/service.ts";
import { type ApiContract, apiContract } from "./api-contract.ts";
import { type SnsSigner, sharedKeyPair, snsSigner, testTopic } from "./sns-signer.ts";

export const testApiKey = `sk_proj_${"t".repeat(43)}`;

export type TestService = {
  url: string;
  /** That of METRICS_PORT; empty without it. */
  healthUrl: string;
  context: Context;
  signer: SnsSigner;
  /** Posts to /ingest/sns; an object is sent as JSON. */
  ingest(body: unknown): Promise<Response>;
  /** What `/openapi.json` promises; every answer of `get` and `request` is held to it. */
  contract: ApiContract;
  /** Asks the API with the bootstrap key. */
  get(path: string, key?: string | null): Promise<Response>;
  /** Asks the API with the bootstrap key; a `body` that is no text is sent as JSON. */
  request(method: string, path: string, options?: TestRequest): Promise<Response>;
  close(): Promise<void>;
};

/** Of a process that does not answer the API. */
const noContract: ApiContract = {
  document: { paths: {}, components: { schemas: {} } },
  check: async () => {},
};

export type TestRequest = { key?: string | null; body?: unknown; headers?: Record<string, string> };

export type TestServiceOptions = {
  databaseUrl: string;
  roles?: Roles;
  environment?: Record<string, string>;
  context?: ContextOptions;
  signer?: SnsSigner;
};

/** The real service, as `fanmail start` runs it, on a database of the test. */
export async function startTestService(options: TestServiceOptions): Promise<TestService> {
  const directory = await mkdtemp(join(tmpdir(), "fanmail-service-"));
  const signer = options.signer ?? (await snsSigner(directory, { pair: await sharedKeyPair() }));
  const config = readConfig({
    PORT: "0",
    DATABASE_URL: options.databaseUrl,
    DATA_DIR: directory,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    SNS_TOPIC_ARNS: testTopic,
    SNS_LOCAL_CERTS: signer.localCertificate,
    BOOTSTRAP_API_KEY: testApiKey,
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    LOG_LEVEL: "silent",
    ...options.environment,
  });
  const context = await openContext(config, options.context);
  const service = await startService(context, options.roles ?? { receiver: true, workers: true });
  const url = service.url ?? "";
  const contract = service.url === null ? noContract : await apiContract(url);
  async function ask(method: string, path: string, init: RequestInit): Promise<Response> {
    const answer = await fetch(url + path, { method, ...init });
    await contract.check(method, path, answer);
    return answer;
  }
  return {
    url,
    healthUrl: service.healthUrl ?? "",
    contract,
    context,
    signer,
    ingest: (body) =>
      fetch(`${url}/ingest/sns`, {
        method: "POST",
        headers: { "content-type": "text/plain; charset=UTF-8" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    get: (path, key = testApiKey) =>
      ask("GET", path, key === null ? {} : { headers: { authorization: `Bearer ${key}` } }),
    request: (method, path, { key = testApiKey, body, headers } = {}) =>
      ask(method, path, {
        headers: {
          ...(key !== null && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    async close() {
      await service.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
