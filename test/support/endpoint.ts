import type { Context } from "../../src/context.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { addEndpoint as add, type EndpointInput } from "../../src/webhooks/endpoints.ts";

/** Makes an endpoint of the default project. */
export async function addEndpoint(
  context: Pick<Context, "clock" | "db" | "secretBox">,
  url: string,
  { eventTypes = ["*"], ...input }: { eventTypes?: string[] } & EndpointInput = {},
): Promise<{ id: string; secret: string }> {
  return add(context, defaultProjectId, url, { event_types: eventTypes, ...input });
}
