import type { Response } from "express";
import type { ApiContext } from "./api-context.ts";
import type { Caller } from "./auth.ts";

export function createRateLimit(_api: ApiContext) {
  return async (_caller: Caller, _response: Response): Promise<void> => {};
}
