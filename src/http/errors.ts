import type { NextFunction, Request, Response } from "express";
import { z } from "zod";
import { UnavailableError } from "../domain/errors.ts";
import { ExactNumber } from "../domain/exact-json.ts";
import { errorText, type Logger } from "../logger.ts";
import { isUnavailable } from "../storage/database-errors.ts";

/** An answer of the API that is not a success, told to the caller as it is. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** What the message leaves out, where an API has a field of its own for it. */
  readonly description: string | undefined;

  constructor(status: number, message: string, description?: string) {
    super(message);
    this.status = status;
    this.description = description;
  }
}

/** How errors look in an API: its own for each dialect. */
export type ErrorShape = {
  /** In `/openapi.json`. */
  name: string;
  schema: z.ZodType;
  body(error: ToldError): unknown;
};

/** @property requestId of faults of ours: what to ask us by. */
type ToldError = { status: number; message: string; description?: string | undefined; requestId?: string };

export const nativeErrors: ErrorShape = {
  name: "Error",
  schema: z.object({ error: z.string(), request_id: z.string().optional() }),
  body: ({ message, requestId }) => ({ error: message, ...(requestId && { request_id: requestId }) }),
};

/** What `errorHandler` answers with from here on. */
export function useErrorShape(response: Response, shape: ErrorShape): void {
  response.locals["errorShape"] = shape;
}

function errorShapeOf(response: Response): ErrorShape {
  // Set by useErrorShape alone.
  return (response.locals["errorShape"] as ErrorShape | undefined) ?? nativeErrors;
}

/**
 * Holds input to its schema.
 * @param ofList what to say where a list stands in place of something else: a query's parameter may have been given twice.
 * @throws ApiError 400 that names the first field that is wrong, as in `events[2].email must be …`.
 */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  ofList = "",
): z.output<Schema> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = (issue?.path ?? []).reduce<string>(appendPath, "");
  throw new ApiError(400, `${field || "The request"} ${describe(issue, ofList)}`);
}

function appendPath(path: string, part: PropertyKey): string {
  if (typeof part === "number") return `${path}[${part}]`;
  return path === "" ? String(part) : `${path}.${String(part)}`;
}

const isNumber: ReadonlySet<string> = new Set(["number", "int"]);

function describe(issue: z.core.$ZodIssue | undefined, ofList: string): string {
  if (issue?.code === "invalid_type") {
    if (issue.input === undefined) return "is required";
    if (issue.input instanceof ExactNumber && isNumber.has(issue.expected)) return "has too many digits";
    const hint = Array.isArray(issue.input) ? ofList : "";
    return `must be ${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}${hint}`;
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
    const requestId = String(response.getHeader("x-request-id"));
    if (response.headersSent) {
      // Half an answer must not look like a whole one.
      if (!isClosedByCaller(error))
        log.error({ request_id: requestId, cause: errorText(error) }, "answer cut off");
      response.destroy();
      return;
    }
    const shape = errorShapeOf(response);
    const told = toldToCaller(error);
    if (told !== null) {
      response.status(told.status).json(shape.body(told));
      return;
    }
    log.error({ request_id: requestId, cause: errorText(error) }, "request failed");
    const { status, message } = faultOf(error);
    if (status === 503) response.setHeader("retry-after", retryAfterSeconds);
    response.status(status).json(shape.body({ status, message, requestId }));
  };
}

const retryAfterSeconds = 5;

/** Causes stay in the log. */
function faultOf(error: unknown): { status: 500 | 503; message: string } {
  if (error instanceof UnavailableError) return { status: 503, message: error.message };
  if (isUnavailable(error)) return { status: 503, message: "The database cannot be used now" };
  return { status: 500, message: "Internal error" };
}

const ClientError = z.looseObject({ status: z.number().min(400).max(499) });

/** What is the caller's to mend. Express marks what it cannot read (a path that is not URL-encoded, say) with a status. */
function toldToCaller(error: unknown): ToldError | null {
  if (error instanceof ApiError) return error;
  const parsed = ClientError.safeParse(error);
  return parsed.success ? { status: parsed.data.status, message: "The request cannot be read" } : null;
}

function isClosedByCaller(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}
