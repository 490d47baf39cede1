import type { Random } from "../../../bench/corpus/random.ts";
import { type Effect, type Mutations, pickFrom } from "./mutation.ts";
import type { WireRequest } from "./wire.ts";

/*
 * Mutations of the request that carries an envelope.
 */

export function requestOf(body: Buffer, target = "/ingest/sns", headers: string[] = []): WireRequest {
  return {
    method: "POST",
    target,
    version: "HTTP/1.1",
    headers: [
      "host: fanmail.example",
      "user-agent: Amazon Simple Notification Service Agent",
      "content-type: text/plain; charset=UTF-8",
      "x-amz-sns-message-type: Notification",
      `content-length: ${body.length}`,
      ...headers,
    ],
    body: [body],
    isLast: false,
    isIncomplete: false,
  };
}

/** Changes the request in place. */
type MutateRequest = (request: WireRequest, random: Random) => Effect;

const isNamed = (name: string) => (line: string) => line.toLowerCase().startsWith(`${name}:`);

function replaceHeader(request: WireRequest, name: string, lines: readonly string[]): void {
  request.headers = [...request.headers.filter((line) => !isNamed(name)(line)), ...lines];
}

/** Cuts bytes at random places. */
function cut(bytes: Buffer, random: Random): Buffer[] {
  const places = Array.from({ length: 1 + random.below(4) }, () => random.below(bytes.length + 1));
  const edges = [0, ...places.sort((one, other) => one - other), bytes.length];
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
}

function inChunks(request: WireRequest, random: Random, extension: string, trailer: string): void {
  const pieces = cut(Buffer.concat(request.body), random).filter(({ length }) => length > 0);
  const chunks = pieces.map((piece) =>
    Buffer.concat([Buffer.from(`${piece.length.toString(16)}${extension}\r\n`), piece, Buffer.from("\r\n")]),
  );
  request.body = [...chunks, Buffer.from(`0\r\n${trailer}\r\n`)];
  replaceHeader(request, "content-length", ["transfer-encoding: chunked"]);
}

export const requestMutations: Mutations<MutateRequest> = {
  "in pieces": (request, random) => {
    request.body = cut(Buffer.concat(request.body), random);
    return "harmless";
  },
  "in chunks": (request, random) => {
    inChunks(request, random, "", "");
    return "harmless";
  },
  "in chunks with extensions and trailers": (request, random) => {
    inChunks(request, random, ";a=b", "x-trailer: more\r\n");
    return "harmless";
  },
  "of another content type": (request, random) => {
    const types = [
      "application/json",
      "text/plain; charset=latin1",
      "multipart/form-data",
      "x",
      "",
      "application/gzip",
    ];
    replaceHeader(request, "content-type", [`content-type: ${pickFrom(types, random)}`]);
    return "harmless";
  },
  "with lying headers": (request, random) => {
    replaceHeader(request, "x-amz-sns-message-type", [
      `x-amz-sns-message-type: ${pickFrom(["UnsubscribeConfirmation", "x", ""], random)}`,
      "x-amz-sns-topic-arn: arn:aws:sns:eu-west-1:666666666666:evil",
      `x-amz-sns-message-id: ${random.uuid()}`,
      "x-forwarded-for: 127.0.0.1",
      `x-request-id: ${pickFrom(["a", "jane@example.com", "x".repeat(2_000), "\u00e9"], random)}`,
    ]);
    return "harmless";
  },
  "with many headers": (request, random) => {
    for (let count = random.below(200); count > 0; count--)
      request.headers.push(`x-${random.hex(8)}: ${random.hex(20)}`);
    return "harmless";
  },
  "of another encoding, it says": (request, random) => {
    request.headers.push(`content-encoding: ${pickFrom(["gzip", "br", "identity", "x"], random)}`);
    return "open";
  },
  "to another spelling of the path": (request, random) => {
    const spellings = ["/ingest/sns/", "/ingest/sns?a=b", "/ingest/sns/?", "/ingest/sns?%00=%ff"];
    request.target = pickFrom(spellings, random);
    return "harmless";
  },
  "to another path": (request, random) => {
    const paths = [
      "/ingest/SNS",
      "/ingest/sns/x",
      "//ingest/sns",
      "/",
      "/ingest/sns/raw",
      "/ingest/%73ns",
      "/%",
      "*",
    ];
    const tokens = ["", "wrong", "%00", "__proto__", "../sns", "x".repeat(4_000)].map(
      (token) => `/ingest/sns/raw/${token}`,
    );
    request.target = pickFrom([...paths, ...tokens], random);
    return "fatal";
  },
  "with another method": (request, random) => {
    request.method = pickFrom(["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "post"], random);
    request.isLast = true;
    return "fatal";
  },
  "as raw delivery, it says": (request, random) => {
    request.headers.push("x-amz-sns-rawdelivery: true");
    replaceHeader(request, "x-amz-sns-message-id", [`x-amz-sns-message-id: ${random.uuid()}`]);
    return "fatal";
  },
  "expecting to be asked for it": (request) => {
    request.headers.push("expect: 100-continue");
    return "harmless";
  },
  "of HTTP/1.0": (request) => {
    request.version = "HTTP/1.0";
    request.isLast = true;
    return "harmless";
  },
  "shorter than it says": (request, random) => {
    const { length } = Buffer.concat(request.body);
    replaceHeader(request, "content-length", [`content-length: ${length + 1 + random.below(100)}`]);
    request.isIncomplete = true;
    return "fatal";
  },
  "longer than it says": (request, random) => {
    const { length } = Buffer.concat(request.body).toString("latin1").trimEnd();
    // Half of it is no message, even if the message is there twice.
    replaceHeader(request, "content-length", [`content-length: ${random.below(Math.ceil(length / 2))}`]);
    request.isLast = true;
    return "fatal";
  },
  "that is not HTTP": (request, random) => {
    breakHead(request, random);
    request.isIncomplete = true;
    return "fatal";
  },
};

function breakHead(request: WireRequest, random: Random): void {
  const { length } = Buffer.concat(request.body);
  const breaks: (() => void)[] = [
    () => request.headers.push("transfer-encoding: chunked"),
    () => request.headers.push(`content-length: ${length + 1}`),
    () => replaceHeader(request, "content-length", ["content-length: -1"]),
    () => replaceHeader(request, "content-length", ["content-length: 0x10"]),
    () => replaceHeader(request, "content-length", ["transfer-encoding: gzip"]),
    () => replaceHeader(request, "content-length", ["transfer-encoding: chunked"]),
    () => request.headers.push(`x-large: ${"x".repeat(20_000)}`),
    () => request.headers.push("without a colon"),
    () => request.headers.push("x-nul: \u0000"),
    () => request.headers.push("x y: 1"),
    () => request.headers.push("x: a\rb: c"),
    () => request.headers.push("expect: miracles"),
    () => replaceHeader(request, "host", []),
    () => Object.assign(request, { version: "HTTP/9.9" }),
    () => Object.assign(request, { version: "" }),
    () => Object.assign(request, { method: "P\u0000ST" }),
    () => Object.assign(request, { target: "/ingest/sns\u0000" }),
    () => Object.assign(request, { target: "/ingest/ sns" }),
  ];
  pickFrom(breaks, random)();
}
