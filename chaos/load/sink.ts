import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** How the sink answers. */
export const sinkMoods = ["ok", "status 500", "hangs", "resets", "no HTTP"] as const;
export type SinkMood = (typeof sinkMoods)[number];

/** A POST that arrived. Times are milliseconds since 1970. */
export type Arrival = {
  /** The name of the endpoint: the last part of its path. */
  endpoint: string;
  /** `webhook-id`: the event's. */
  id: string;
  atMs: number;
  /** What it was answered; null: nothing that is an answer. */
  status: number | null;
  isSigned: boolean;
  /** Whether it tells about an email and not to whom. */
  lacksRecipient: boolean;
  /** A hash of the body. */
  body: string;
};

/** The customers' systems: writes down every POST and its own answer. */
export type Sink = {
  port: number;
  arrivals: readonly Arrival[];
  /** @param secret `whsec_…` */
  expect(endpoint: string, secret: string): void;
  behave(mood: SinkMood): void;
  close(): Promise<void>;
};

/** A customer's system takes this long, so that posts are under way when something happens. */
const worksForMs = 15;

export async function openSink(): Promise<Sink> {
  const arrivals: Arrival[] = [];
  const secrets = new Map<string, Buffer>();
  /** What came before the client had the answer with the secret. */
  const early: { arrival: Arrival; judge: (secret: Buffer) => boolean }[] = [];
  let mood: SinkMood = "ok";
  const server = createServer(async (request, response) => {
    const atMs = Date.now();
    // A connection may be cut at any time.
    const body = await buffer(request).catch(() => null);
    if (body === null) return;
    const endpoint = request.url?.slice(1) ?? "";
    const { headers } = request;
    const judge = (secret: Buffer) => isRightlySigned(headers, body, secret);
    const secret = secrets.get(endpoint);
    const isSigned = secret !== undefined && judge(secret);
    const id = String(request.headers["webhook-id"]);
    const lacksRecipient = body.includes('"recipient":null');
    const arrival = { endpoint, id, atMs, status: null, isSigned, lacksRecipient, body: hashOf(body) };
    arrivals.push(arrival);
    if (secret === undefined) early.push({ arrival, judge });
    answer(arrival, mood, request, response);
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // A server that listens on a port has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    arrivals,
    expect(endpoint, secret) {
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      secrets.set(endpoint, key);
      for (const { arrival, judge } of early)
        if (arrival.endpoint === endpoint) arrival.isSigned = judge(key);
    },
    behave(next) {
      mood = next;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(arrival: Arrival, mood: SinkMood, request: IncomingMessage, response: ServerResponse): void {
  const say = (status: number) => {
    setTimeout(() => {
      arrival.status = status;
      response.writeHead(status).end();
    }, worksForMs);
  };
  switch (mood) {
    case "ok":
      say(204);
      break;
    case "status 500":
      say(500);
      break;
    case "hangs":
      break;
    case "resets":
      request.socket.resetAndDestroy();
      break;
    case "no HTTP":
      request.socket.end("220 mail.example.com ESMTP\r\n");
      break;
    default:
      throw new Error(`unreachable: ${mood satisfies never}`);
  }
}

/** Reads the specification of Standard Webhooks by itself. */
function isRightlySigned(headers: IncomingHttpHeaders, body: Buffer, secret: Buffer): boolean {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const mac = createHmac("sha256", secret).update(signed).update(body).digest("base64");
  return String(headers["webhook-signature"]).split(" ").includes(`v1,${mac}`);
}

function hashOf(body: Buffer): string {
  return createHash("sha1").update(body).digest("base64").slice(0, 16);
}
