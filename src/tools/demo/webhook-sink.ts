import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** A customer's system as small as can be: it receives webhooks and checks their signatures. */
export type WebhookSink = {
  url: string;
  /** Ids of webhooks whose signature the `standardwebhooks` package accepts. */
  verified: ReadonlySet<string>;
  /** Webhooks that it refused. */
  refused: number;
  close(): Promise<void>;
};

/** @param secret `whsec_…` of the endpoint. */
export async function startWebhookSink(secret: string): Promise<WebhookSink> {
  const webhook = new Webhook(secret);
  const verified = new Set<string>();
  const sink = { url: "", verified, refused: 0, close };
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const id = request.headers["webhook-id"];
    if (typeof id === "string" && isAuthentic(webhook, body, request)) verified.add(id);
    else sink.refused++;
    response.writeHead(204).end();
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  sink.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`;
  return sink;

  function close(): Promise<void> {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  }
}

function isAuthentic(webhook: Webhook, body: string, { headers }: IncomingMessage): boolean {
  try {
    webhook.verify(body, {
      "webhook-id": String(headers["webhook-id"]),
      "webhook-timestamp": String(headers["webhook-timestamp"]),
      "webhook-signature": String(headers["webhook-signature"]),
    });
    return true;
  } catch {
    return false;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
