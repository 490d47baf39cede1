import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

type Value = { stringValue?: string; intValue?: number; arrayValue?: { values: Value[] } };
type Attribute = { key: string; value: Value };
type OtlpSpan = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  links: { traceId: string; spanId: string }[];
  status: { code: number };
};
type Export = {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
};

export type ExportedSpan = Omit<OtlpSpan, "attributes"> & { attributes: Record<string, unknown> };

export type OtlpReceiver = {
  url: string;
  /** Of all exports so far. */
  spans(): ExportedSpan[];
  /** Of the process that exports. */
  resource(): Record<string, unknown>;
  /** Every byte that came. */
  text(): string;
  headers: IncomingHttpHeaders[];
  connections(): number;
  close(): Promise<void>;
};

/** A collector of OTLP over HTTP, in JSON. @param answer false: it takes requests and never answers. */
export async function otlpReceiver({ answers = true } = {}): Promise<OtlpReceiver> {
  const bodies: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    bodies.push(Buffer.concat(chunks).toString("utf8"));
    headers.push({ ...request.headers, path: request.url });
    if (answers) response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  server.on("connection", () => {
    connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const resources = () => bodies.flatMap((body) => (JSON.parse(body) as Export).resourceSpans);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () =>
      resources()
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .map((span) => ({ ...span, attributes: record(span.attributes), links: span.links ?? [] })),
    resource: () => record(resources()[0]?.resource.attributes ?? []),
    text: () => bodies.join("\n"),
    headers,
    connections: () => connections,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function record(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

function plain(value: Value): unknown {
  return value.arrayValue ? value.arrayValue.values.map(plain) : (value.stringValue ?? value.intValue);
}
