import type { Express } from "express";
import type { AnyRoute } from "./route.ts";

/** `/openapi.json` and `/docs`. */
export function registerDocumentation(_app: Express, _routes: readonly AnyRoute[]): void {}
