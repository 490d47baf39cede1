import type { Express, Request, Response } from "express";
import type { z } from "zod";
import type { Scope } from "../domain/api-key.ts";
import type { Authenticate, Caller } from "./auth.ts";
import { parseInput } from "./errors.ts";

/** One operation of the API: everything about it in one place. */
export type Route<Params extends z.ZodType, Query extends z.ZodType, Answer extends z.ZodType> = {
  method: "get";
  /** As Express writes it: `/v1/activity/:id`. */
  path: string;
  scope: Scope;
  summary: string;
  params: Params;
  query: Query;
  answer: Answer;
  handle(input: {
    caller: Caller;
    params: z.output<Params>;
    query: z.output<Query>;
  }): Promise<z.input<Answer>>;
};

/** A route whose own types are known to itself alone. */
export type AnyRoute = { register(app: Express, authenticate: Authenticate): void };

/** Checks a caller and the input before `handle` sees them. */
export function defineRoute<Params extends z.ZodType, Query extends z.ZodType, Answer extends z.ZodType>(
  route: Route<Params, Query, Answer>,
): AnyRoute {
  return {
    register(app, authenticate) {
      app[route.method](route.path, async (request: Request, response: Response) => {
        const caller = await authenticate(request.headers.authorization, route.scope);
        const params = parseInput(route.params, request.params);
        const query = parseInput(route.query, request.query);
        response.json(await route.handle({ caller, params, query }));
      });
    },
  };
}
