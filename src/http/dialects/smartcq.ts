import type { ApiContext } from "../api-context.ts";
import type { AnyRoute } from "../route.ts";

export function smartcqRoutes(_api: ApiContext): AnyRoute[] {
  return [];
}
