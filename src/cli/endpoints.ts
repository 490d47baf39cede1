import { webhookEventTypes } from "../domain/mail/event-names.ts";
import { readEndpointUrl } from "../domain/webhooks/endpoint-url.ts";
import type { Database } from "../storage/database.ts";
import { type Endpoint, findEndpointAnywhere, listEndpoints } from "../storage/webhooks/endpoints.ts";
import { addEndpoint, disableEndpoint, enableEndpoint, removeEndpoint } from "../webhooks/endpoints.ts";
import { commandWithActions, print, printJson, printList, readChoices, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

export const endpoints = commandWithActions(
  [
    "npx fanmail endpoints add <url> [--project default] [--events email.bounce,…|*] [--description text] [--json]",
    "npx fanmail endpoints list [--json]",
    "npx fanmail endpoints enable|disable|remove <id>",
    "",
    "The signing secret is shown once, when the endpoint is added.",
    `Events: ${webhookEventTypes.join(", ")}, or * for all.`,
    "An address in a private network is refused, unless WEBHOOK_ALLOWED_CIDRS contains it.",
  ].join("\n"),
  {
    project: { type: "string", default: "default" },
    events: { type: "string", default: "*" },
    description: { type: "string" },
    json: { type: "boolean", default: false },
  },
  {
    add: { target: "<url>", options: ["project", "events", "description", "json"], run: add },
    list: { options: ["json"], run: list },
    enable: { target: "<id>", options: [], run: enable },
    disable: { target: "<id>", options: [], run: disable },
    remove: { target: "<id>", options: [], run: remove },
  },
);

type AddOptions = {
  target: string;
  project: string;
  events: string;
  description?: string | undefined;
  json: boolean;
};

async function add({ target, ...options }: AddOptions): Promise<void> {
  const read = readEndpointUrl(target);
  if ("problem" in read) throw new UsageError(`The URL ${read.problem}`);
  const { url } = read;
  const eventTypes = readChoices("events", options.events, [...webhookEventTypes, "*"]);
  const { id, secret } = await withStore(async (store) => {
    const problem = await store.addressGuard.check(url);
    if (problem !== null) throw new UsageError(`The URL ${problem}`);
    const project = await projectNamed(store, options.project);
    return addEndpoint(store, project.id, url, {
      event_types: eventTypes,
      description: options.description ?? null,
    });
  }, making);
  if (options.json) return printJson({ id, url, event_types: eventTypes, secret });
  print(`Endpoint ${id}\nEvents   ${eventTypes.join(",")}\nSecret   ${secret}`);
  process.stderr.write("Keep the secret now: it is not shown again.\n");
}

async function list({ json }: { json: boolean }): Promise<void> {
  const rows = await readStored(({ db }) => listEndpoints(db));
  printList(rows, json, ["ID", "STATE", "URL", "EVENTS"], (row) => [
    row.id,
    stateOf(row),
    row.url,
    row.event_types.join(","),
  ]);
}

function stateOf({ state, disabled_reason }: Endpoint): string {
  return disabled_reason === null ? state : `${state} (${disabled_reason})`;
}

async function enable({ target: id }: { target: string }): Promise<void> {
  await withStore(async ({ db }) => enableEndpoint(db, await endpointWithId(db, id)));
  print("Enabled. To post the webhooks that were held for it: POST /v1/webhooks/:id/replays");
}

async function disable({ target: id }: { target: string }): Promise<void> {
  await withStore(async ({ db }) => disableEndpoint(db, await endpointWithId(db, id)));
  print("Disabled. Its webhooks are held for it.");
}

async function remove({ target: id }: { target: string }): Promise<void> {
  await withStore(async ({ db }) => removeEndpoint(db, await endpointWithId(db, id)));
  print("Removed. Its pending webhooks are cancelled.");
}

/** @throws UsageError when there is none. */
async function endpointWithId(db: Database, id: string): Promise<Endpoint> {
  const endpoint = await findEndpointAnywhere(db, id);
  if (endpoint) return endpoint;
  throw new UsageError(`There is no endpoint "${id}"; list them with: npx fanmail endpoints list`);
}
