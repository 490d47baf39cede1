import { randomBytes } from "node:crypto";
import type { StoreContext } from "../context.ts";
import { apiKey, apiKeyHash, apiKeyPrefix, scopes } from "../domain/api-key.ts";
import { insertApiKey, listApiKeys, revokeApiKey } from "../storage/api-keys.ts";
import { commandWithActions, print, printJson, printList, readChoices, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

export const keys = commandWithActions(
  [
    "npx fanmail keys create --scopes activity:read,…|'*' [--project default] [--name text] [--json]",
    "npx fanmail keys list [--json]",
    "npx fanmail keys revoke <prefix or id>",
    "",
    "A key is shown once, when it is created. A revoked key is refused within seconds.",
    `Scopes: ${scopes.join(", ")}, or '*' for all.`,
  ].join("\n"),
  {
    project: { type: "string", default: "default" },
    name: { type: "string", default: "unnamed" },
    scopes: { type: "string" },
    json: { type: "boolean", default: false },
  },
  {
    create: { options: ["project", "name", "scopes", "json"], run: create },
    list: { options: ["json"], run: list },
    revoke: { target: "<prefix or id>", options: [], run: revoke },
  },
);

type CreateOptions = { project: string; name: string; scopes?: string | undefined; json: boolean };

async function create({ project: projectName, name, scopes: text, json }: CreateOptions): Promise<void> {
  const granted = readScopes(text);
  const key = await withStore(async (store) => {
    const project = await projectNamed(store, projectName);
    return createApiKey(store, project.id, name, granted);
  }, making);
  if (json) return printJson({ key, name, project: projectName, scopes: granted });
  print(key);
  const may = granted.includes("*") ? "may do everything" : `may do ${granted.join(", ")}`;
  process.stderr.write(`The key "${name}" of the project "${projectName}" ${may}.\n`);
  process.stderr.write("Keep it now: it is not shown again.\n");
}

/** Scopes have no default. @throws UsageError */
function readScopes(text: string | undefined): string[] {
  if (text === undefined)
    throw new UsageError(
      "Say what the key may do: --scopes activity:read,events:write, or --scopes '*' for all",
    );
  return readChoices("scopes", text, [...scopes, "*"]);
}

/** Stores a new key. @returns the key, which cannot be shown again. */
async function createApiKey(
  { db, clock }: StoreContext,
  projectId: string,
  name: string,
  granted: string[],
): Promise<string> {
  const key = apiKey(randomBytes(32));
  await insertApiKey(db, {
    project_id: projectId,
    id: clock.newId(),
    name,
    prefix: apiKeyPrefix(key),
    scopes: granted,
    sha256: apiKeyHash(key),
  });
  return key;
}

async function list({ json }: { json: boolean }): Promise<void> {
  const rows = await readStored(({ db }) => listApiKeys(db));
  printList(rows, json, ["KEY", "NAME", "SCOPES", "CREATED", ""], (key) => [
    `${key.prefix}…`,
    key.name,
    key.scopes.join(","),
    key.created_at.toISOString(),
    key.revoked_at ? `revoked ${key.revoked_at.toISOString()}` : "",
  ]);
}

async function revoke({ target }: { target: string }): Promise<void> {
  const isRevoked = await withStore(({ db }) => revokeApiKey(db, target.replace(/…$/, "")));
  if (!isRevoked)
    throw new UsageError(`There is no valid key "${target}"; list them with: npx fanmail keys list`);
  print("Revoked.");
}
