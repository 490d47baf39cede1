import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { sesOperations } from "./aws-ses-operations.ts";
import { type Credentials, refusal, regionSignedFor } from "./aws-signature.ts";
import { snsOperations } from "./aws-sns-operations.ts";
import { sqsOperations } from "./aws-sqs-operations.ts";
import { ApiError, type AwsState, emptyState, type Operation } from "./aws-state.ts";

/** A call with a valid signature. */
type ReceivedCall = { action: string; input: Record<string, unknown> };

export type AwsApiStub = {
  url: string;
  credentials: Credentials;
  /** The environment of a program that uses it. */
  environment: Record<string, string>;
  /** Of the region that the environment names. */
  state: AwsState;
  /** Of any region. */
  stateIn(region: string): AwsState;
  received: ReceivedCall[];
  /** The actions that change something, in the order of their calls. */
  writes(): string[];
  /** Fails an action, from now on. */
  fail(action: string, error: ApiError): void;
  reset(): void;
  close(): Promise<void>;
};

const isReading = /^\w+:(Get|List)/;
const operations: Record<string, Operation> = { ...sesOperations, ...snsOperations, ...sqsOperations };

/** SES, SNS and SQS of one account, with a state in each region, over HTTP. Each request's signature is checked. */
export async function awsApiStub(): Promise<AwsApiStub> {
  const credentials = { accessKeyId: "AKIATESTTESTTESTTEST", secretAccessKey: "wJalr/test+secret" };
  const failures = new Map<string, ApiError>();
  const received: ReceivedCall[] = [];
  const state = emptyState();
  const others = new Map<string, AwsState>();
  const stateIn = (region: string): AwsState => {
    if (region === state.region) return state;
    const other = others.get(region) ?? { ...emptyState(), region, endpoint: state.endpoint };
    others.set(region, other);
    return other;
  };
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const call = readCall(request, body.toString());
    try {
      const code = refusal(request, body, credentials);
      if (code !== null) throw new ApiError(403, code, "The security token or signature is not valid.");
      received.push({ action: call.action, input: call.input });
      const failure = failures.get(call.action);
      if (failure) throw failure;
      const operation = operations[call.action];
      if (!operation) throw new ApiError(400, "InvalidAction", `There is no ${call.action}`);
      respond(response, call, 200, await operation(stateIn(regionSignedFor(request)), call.input));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      respondError(response, call, error);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  state.endpoint = url;
  return {
    url,
    credentials,
    environment: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: state.region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    },
    state,
    stateIn,
    received,
    writes: () => received.map(({ action }) => action).filter((action) => !isReading.test(action)),
    fail: (action, error) => failures.set(action, error),
    reset() {
      Object.assign(state, emptyState(), { endpoint: url });
      others.clear();
      received.length = 0;
      failures.clear();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Call = ReceivedCall & { protocol: "query" | "json" | "rest" };

function readCall(request: IncomingMessage, body: string): Call {
  const target = request.headers["x-amz-target"];
  if (typeof target === "string") {
    const action = target.replace("AmazonSQS.", "sqs:");
    return { protocol: "json", action, input: JSON.parse(body) };
  }
  if (request.headers["content-type"] === "application/x-www-form-urlencoded") {
    const { Action, Version: _, ...input } = Object.fromEntries(new URLSearchParams(body));
    return { protocol: "query", action: `sns:${Action}`, input };
  }
  return { protocol: "rest", ...readRestCall(request, body) };
}

function readRestCall({ method, url = "" }: IncomingMessage, body: string): ReceivedCall {
  const [resource, set, kind, destination] = url.replace("/v2/email/", "").split("/").map(decodeURIComponent);
  const input = {
    ...(body && JSON.parse(body)),
    ...(set && { ConfigurationSetName: set }),
    ...(destination && { EventDestinationName: destination }),
  };
  if (resource === "list-configuration-sets") return { action: "ses:ListConfigurationSets", input };
  if (kind === undefined) return { action: "ses:CreateConfigurationSet", input };
  const verb = { GET: "Get", POST: "Create", PUT: "Update", DELETE: "Delete" }[String(method)];
  return { action: `ses:${verb}ConfigurationSetEventDestination${method === "GET" ? "s" : ""}`, input };
}

function respond(response: ServerResponse, { protocol, action }: Call, status: number, answer: object): void {
  if (protocol !== "query") {
    const type = protocol === "json" ? "application/x-amz-json-1.0" : "application/json";
    response.writeHead(status, { "content-type": type }).end(JSON.stringify(answer));
    return;
  }
  const name = action.replace("sns:", "");
  const xml = `<${name}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><${name}Result>${toXml(answer)}</${name}Result></${name}Response>`;
  response.writeHead(status, { "content-type": "text/xml" }).end(xml);
}

function respondError(
  response: ServerResponse,
  { protocol }: Call,
  { status, code, message }: ApiError,
): void {
  if (protocol === "query") {
    const xml = `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>${toXml({ Code: code, Message: message })}</Error></ErrorResponse>`;
    response.writeHead(status, { "content-type": "text/xml" }).end(xml);
  } else if (protocol === "json") {
    const body = JSON.stringify({ __type: `com.amazonaws.sqs#${code}`, message });
    response.writeHead(400, { "content-type": "application/x-amz-json-1.0" }).end(body);
  } else {
    const headers = { "content-type": "application/json", "x-amzn-errortype": code };
    response.writeHead(status, headers).end(JSON.stringify({ message }));
  }
}

/** In the Query protocol lists are `member`s, and maps of attributes are `entry`s. */
function toXml(value: unknown): string {
  if (value instanceof Map)
    return [...value].map(([key, one]) => `<entry>${toXml({ key, value: one })}</entry>`).join("");
  if (Array.isArray(value)) return value.map((one) => `<member>${toXml(one)}</member>`).join("");
  if (value === null || typeof value !== "object")
    return String(value).replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  return Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .map(([name, part]) => `<${name}>${toXml(part)}</${name}>`)
    .join("");
}
