import type { NextFunction, Request, Response } from "express";
import { z } from "zod";
import { UnavailableError } from "../domain/errors.ts";
import { errorText, type Logger } from "../logger.ts";
import { isUnavailable } from "../storage/database-errors.ts";

/** Each status of an error and its meaning, as `/openapi.json` and docs/api.md list them; a test compares the two. */
export const errorMeanings = {
  400: "a parameter, header or field is invalid or missing; the body is not JSON, not UTF-8 or empty; the URL is not encoded properly",
  401: "the key is missing, unknown or revoked",
  403: "the key lacks the scope",
  404: "the route, id or address does not exist, or belongs to another project",
  409: "the `Idempotency-Key` was used for another request, or the request conflicts with the current state; the message says why",
  413: "the body is too large",
  415: "the body's `Content-Type`, character set or `Content-Encoding` is not supported",
  429: "too many requests; has `Retry-After`",
  500: "internal error; has `request_id`, which is also in the log",
  503: "the database is unreachable, full or read-only; has `Retry-After` and `request_id`",
} as const;
type ErrorStatus = keyof typeof errorMeanings;

/** An error for the client: status and message are answered as they are. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: ErrorStatus;
  /** More than the message says, for APIs that have a field for it. */
  readonly description: string | undefined;

  constructor(status: ErrorStatus, message: string, description?: string) {
    super(message);
    this.status = status;
    this.description = description;
  }
}

/** How an API writes errors. Each dialect has its own. */
export type ErrorShape = {
  /** The name of the schema in `/openapi.json`. */
  name: string;
  schema: z.ZodType;
  body(error: AnsweredError): unknown;
};

/** @property requestId of internal errors alone, for reporting them. */
type AnsweredError = {
  status: number;
  message: string;
  description?: string | undefined;
  requestId?: string;
};

export const nativeErrors: ErrorShape = {
  name: "Error",
  schema: z.object({ error: z.string(), request_id: z.string().optional() }),
  body: ({ message, requestId }) => ({ error: message, ...(requestId && { request_id: requestId }) }),
};

/** Sets the shape that `errorHandler` answers this request with. */
export function useErrorShape(response: Response, shape: ErrorShape): void {
  response.locals["errorShape"] = shape;
}

function errorShapeOf(response: Response): ErrorShape {
  // Set by useErrorShape alone.
  return (response.locals["errorShape"] as ErrorShape | undefined) ?? nativeErrors;
}

export function notFound(_request: Request, _response: Response): never {
  throw new ApiError(404, "There is no such route");
}

/** The last handler: answers what was thrown. Internal errors are a 500 or 503, never a 4xx. */
export function errorHandler(log: Logger) {
  // Express recognizes error handlers by their four parameters.
  return (error: unknown, _request: Request, response: Response, _next: NextFunction): void => {
    const requestId = String(response.getHeader("x-request-id"));
    if (response.headersSent) {
      // Half a response must not look like a whole one.
      if (!isClosedByClient(error))
        log.error({ request_id: requestId, cause: errorText(error) }, "answer cut off");
      response.destroy();
      return;
    }
    const shape = errorShapeOf(response);
    const clientError = clientErrorOf(error);
    if (clientError !== null) {
      response.status(clientError.status).json(shape.body(clientError));
      return;
    }
    log.error({ request_id: requestId, cause: errorText(error) }, "request failed");
    const { status, message } = internalErrorOf(error);
    if (status === 503) response.setHeader("retry-after", retryAfterSeconds);
    response.status(status).json(shape.body({ status, message, requestId }));
  };
}

const retryAfterSeconds = 5;

/** The cause is only logged. */
function internalErrorOf(error: unknown): { status: 500 | 503; message: string } {
  if (error instanceof UnavailableError) return { status: 503, message: error.message };
  if (isUnavailable(error)) return { status: 503, message: "The database cannot be used now" };
  return { status: 500, message: "Internal error" };
}

const ClientError = z.looseObject({ status: z.number().min(400).max(499) });

/** What the client can fix. Express gives what it cannot read, such as a path that is not URL-encoded, a status. */
function clientErrorOf(error: unknown): AnsweredError | null {
  if (error instanceof ApiError) return error;
  const parsed = ClientError.safeParse(error);
  return parsed.success ? { status: parsed.data.status, message: "The request cannot be read" } : null;
}

function isClosedByClient(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}
