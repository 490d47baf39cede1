import { hostname } from "node:os";
import { type ToldWebhook, takeHeld } from "../../storage/webhooks/deliveries.ts";
import { type Endpoint, listEndpoints, markDisabled } from "../../storage/webhooks/endpoints.ts";
import { addEndpoint, type EndpointContext } from "../../webhooks/add-endpoint.ts";
import { removeEndpoint } from "../../webhooks/switch-endpoint.ts";

/** Hears what webhooks tell, without an address that could be posted to. */
export type Listener = {
  /** What has been told since, oldest event first. */
  next(): Promise<ToldWebhook[]>;
  close(): Promise<void>;
};

const takenTogether = 100;
/** Nothing is ever posted there: the name cannot exist (RFC 2606). */
const noAddress = "https://fanmail-listen.invalid/";

/**
 * Adds an endpoint that is disabled, so that all that it subscribes to is held for it, to the byte what others are posted.
 * What a listener left behind that was killed is removed by the next one on its machine.
 */
export async function openListener(
  { db, clock, secretBox }: EndpointContext,
  projectId: string,
  eventTypes: string[],
): Promise<Listener> {
  for (const endpoint of await listEndpoints(db, [projectId])) {
    if (isAbandoned(endpoint)) await removeEndpoint(db, endpoint);
  }
  const endpoint = await db.transaction(async (tx) => {
    const settings = { event_types: eventTypes, description: descriptionOf(process.pid) };
    const { id } = await addEndpoint({ db: tx, clock, secretBox }, projectId, noAddress, settings);
    await markDisabled(tx, { project_id: projectId, id }, "manual");
    return { project_id: projectId, id };
  });
  return {
    next: () => takeHeld(db, endpoint, takenTogether),
    async close() {
      await removeEndpoint(db, endpoint);
    },
  };
}

function descriptionOf(pid: number | string): string {
  return `fanmail listen on ${hostname()}, process ${pid}`;
}

function isAbandoned({ url, description }: Endpoint): boolean {
  const pid = /(\d+)$/.exec(description ?? "")?.[1];
  return (
    url === noAddress && pid !== undefined && description === descriptionOf(pid) && !isRunning(Number(pid))
  );
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be signalled, and is there.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
