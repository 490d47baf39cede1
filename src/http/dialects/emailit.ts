import type { ApiContext } from "../api-context.ts";
import type { AnyRoute } from "../route.ts";

export function emailitRoutes(_api: ApiContext): AnyRoute[] {
  return [];
}
