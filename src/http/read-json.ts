import { isUtf8 } from "node:buffer";
import express, { type Request, type Response } from "express";
import { z } from "zod";
import { ApiError } from "./errors.ts";

/** Of a body, unless a route takes more. */
export const defaultMaxBodyBytes = 256 * 1024;

/** Reads a body of JSON. @throws ApiError 400, 413 or 415 that says what is wrong with it. */
export async function readJson(
  request: Request,
  response: Response,
  maxBytes = defaultMaxBodyBytes,
): Promise<unknown> {
  if (!request.is("application/json")) {
    throw new ApiError(415, "The body must be JSON, with the header Content-Type: application/json");
  }
  if (!encodings.includes(request.get("content-encoding")?.toLowerCase() ?? "identity")) {
    throw new ApiError(415, "The body's Content-Encoding must be gzip, deflate, br or none");
  }
  const read = express.json({ limit: maxBytes, strict: false, type: () => true, verify: checkEncoding });
  try {
    await new Promise<void>((resolve, reject) => {
      read(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    throw bodyError(error, maxBytes);
  }
  // Where there is no body at all nothing is read.
  if (request.body === undefined) throw new ApiError(400, "The body is empty; it must be JSON");
  return request.body;
}

/** Which others the parser takes depends on the version of Node. */
const encodings = ["identity", "gzip", "deflate", "br"];

/** The parser would put U+FFFD in place of what it cannot decode. */
function checkEncoding(_request: unknown, _response: unknown, body: Buffer): void {
  if (!isUtf8(body)) throw new ApiError(400, "The body is not UTF-8");
}

const ParserError = z.looseObject({ type: z.string(), status: z.number() });

function bodyError(error: unknown, maxBytes: number): unknown {
  if (error instanceof ApiError) return error;
  const parsed = ParserError.safeParse(error);
  switch (parsed.data?.type) {
    case "entity.too.large":
      return new ApiError(413, `The body is larger than ${maxBytes} bytes`);
    case "entity.parse.failed":
      return new ApiError(400, "The body is not JSON");
    case "charset.unsupported":
      return new ApiError(415, "The body must be JSON in UTF-8");
    default:
      return isFromZlib(error) ? new ApiError(400, "The body is not what its Content-Encoding says") : error;
  }
}

/** Errors of zlib and brotli have codes such as Z_DATA_ERROR and ERR__ERROR_FORMAT_PADDING_1. */
function isFromZlib(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(Z_|ERR_)/.test(String(error.code));
}
