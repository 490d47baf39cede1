import type { NextFunction, Request, Response } from "express";
import { z } from "zod";
import { errorText, type Logger } from "../logger.ts";
import { isAway } from "../storage/database-errors.ts";

/** An answer of the API that is not a success, told to the caller as it is. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Holds input to its schema.
 * @throws ApiError 400 that names the first field that is wrong, as in `events[2].email must be …`.
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = (issue?.path ?? []).reduce<string>(appendPath, "");
  throw new ApiError(400, `${field || "The request"} ${describe(issue)}`);
}

function appendPath(path: string, part: PropertyKey): string {
  if (typeof part === "number") return `${path}[${part}]`;
  return path === "" ? String(part) : `${path}.${String(part)}`;
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === "invalid_type") {
    return issue.input === undefined ? "is required" : `must be a ${issue.expected}, given once`;
  }
  return issue?.message ?? "is not accepted";
}

export function notFound(_request: Request, _response: Response): never {
  throw new ApiError(404, "There is no such route");
}

/** The last handler: makes an answer of what was thrown. A fault of ours is a 500 or 503, never a 4xx. */
export function errorHandler(log: Logger) {
  // Express tells error handlers by their four parameters.
  return (error: unknown, _request: Request, response: Response, _next: NextFunction): void => {
    if (error instanceof ApiError) {
      response.status(error.status).json({ error: error.message });
      return;
    }
    const clientStatus = statusOfClientError(error);
    if (clientStatus !== null) {
      response.status(clientStatus).json({ error: "The request cannot be read" });
      return;
    }
    const requestId = String(response.getHeader("x-request-id"));
    log.error({ request_id: requestId, cause: errorText(error) }, "request failed");
    const { status, message } = faultOf(error);
    if (status === 503) response.setHeader("retry-after", retryAfterSeconds);
    response.status(status).json({ error: message, request_id: requestId });
  };
}

const retryAfterSeconds = 5;

/** Causes stay in the log. */
function faultOf(error: unknown): { status: 500 | 503; message: string } {
  if (isAway(error)) return { status: 503, message: "The database cannot be reached now" };
  return { status: 500, message: "Internal error" };
}

const ClientError = z.looseObject({ status: z.number().min(400).max(499) });

/** Express marks what it cannot read (a path that is not URL-encoded, say) with a status. */
function statusOfClientError(error: unknown): number | null {
  const parsed = ClientError.safeParse(error);
  return parsed.success ? parsed.data.status : null;
}
