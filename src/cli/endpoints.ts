import { randomBytes } from "node:crypto";
import { webhookEventTypes } from "../domain/event-names.ts";
import { webhookSecret } from "../domain/webhook-signature.ts";
import { deleteEndpoint, insertEndpoint, listEndpoints } from "../storage/endpoints.ts";
import { type Command, print, printJson, readArgs, readChoices, table, UsageError } from "./command.ts";
import { projectNamed, withStore } from "./with-store.ts";

export const endpoints: Command = {
  help: [
    "fanmail endpoints add <url> [--project default] [--events email.bounce,…|*] [--description text] [--json]",
    "fanmail endpoints list [--json]",
    "fanmail endpoints remove <id>",
    "",
    "The signing secret is shown once, when the endpoint is added.",
    `Events: ${webhookEventTypes.join(", ")}, or * for all.`,
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, {
      project: { type: "string", default: "default" },
      events: { type: "string", default: "*" },
      description: { type: "string" },
      json: { type: "boolean", default: false },
    });
    const [action, target] = positionals;
    if (action === "add" && target) await add(target, values);
    else if (action === "list") await list(values.json);
    else if (action === "remove" && target) await remove(target);
    else throw new UsageError("Say what to do: add <url>, list, or remove <id>");
    return 0;
  },
};

type AddOptions = { project: string; events: string; description?: string | undefined; json: boolean };

async function add(url: string, options: AddOptions): Promise<void> {
  assertUrl(url);
  const eventTypes = readChoices("events", options.events, [...webhookEventTypes, "*"]);
  const { id, secret } = await withStore(async (store) => {
    const project = await projectNamed(store, options.project);
    const endpoint = { id: store.clock.newId(), secret: webhookSecret(randomBytes(32)) };
    await insertEndpoint(store.db, {
      project_id: project.id,
      id: endpoint.id,
      url,
      event_types: eventTypes,
      description: options.description ?? null,
      secret: { id: store.clock.newId(), sealed: store.secretBox.seal(endpoint.secret, endpoint.id) },
    });
    return endpoint;
  });
  if (options.json) return printJson({ id, url, event_types: eventTypes, secret });
  print(`Endpoint ${id}\nSecret   ${secret}`);
  process.stderr.write("Keep the secret now: it is not shown again.\n");
}

function assertUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !["https:", "http:"].includes(parsed.protocol)) {
    throw new UsageError(`"${url}" is not a URL such as https://example.com/webhooks`);
  }
  if (parsed.username || parsed.password)
    throw new UsageError("The URL may not hold a user name or password");
}

async function list(asJson: boolean): Promise<void> {
  const rows = await withStore(({ db }) => listEndpoints(db));
  if (asJson) return printJson(rows);
  const lines = rows.map(({ id, state, url, event_types }) => [id, state, url, event_types.join(",")]);
  for (const line of table([["ID", "STATE", "URL", "EVENTS"], ...lines])) print(line);
}

async function remove(id: string): Promise<void> {
  const isRemoved = await withStore(({ db }) => deleteEndpoint(db, id));
  if (!isRemoved)
    throw new UsageError(`There is no endpoint "${id}"; list them with: fanmail endpoints list`);
  print("Removed. What it was still owed is cancelled.");
}
