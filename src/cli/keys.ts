import { randomBytes } from "node:crypto";
import type { StoreContext } from "../context.ts";
import { apiKey, apiKeyHash, apiKeyPrefix, scopes } from "../domain/api-key.ts";
import { insertApiKey, listApiKeys, revokeApiKey } from "../storage/api-keys.ts";
import { type Command, print, printJson, readAction, readChoices, table, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

export const keys: Command = {
  help: [
    "npx fanmail keys create --scopes activity:read,…|'*' [--project default] [--name text] [--json]",
    "npx fanmail keys list [--json]",
    "npx fanmail keys revoke <prefix or id>",
    "",
    "A key is shown once, when it is created. A revoked key is refused within seconds.",
    `Scopes: ${scopes.join(", ")}, or '*' for all.`,
  ].join("\n"),
  async run(args) {
    const { action, target, values } = readAction(args, options, {
      create: { options: ["project", "name", "scopes", "json"] },
      list: { options: ["json"] },
      revoke: { target: "<prefix or id>", options: [] },
    });
    if (action === "create") await create(values);
    else if (action === "list") await list(values.json);
    else await revoke(target);
    return 0;
  },
};

const options = {
  project: { type: "string", default: "default" },
  name: { type: "string", default: "unnamed" },
  scopes: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

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

/** Nothing is granted that was not said. @throws UsageError */
function readScopes(text: string | undefined): string[] {
  if (text === undefined)
    throw new UsageError(
      "Say what the key may do: --scopes activity:read,events:write, or --scopes '*' for all",
    );
  return readChoices("scopes", text, [...scopes, "*"]);
}

/** Stores a new key. @returns the key, which nothing can show again. */
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

async function list(asJson: boolean): Promise<void> {
  const rows = await readStored(({ db }) => listApiKeys(db));
  if (asJson) return printJson(rows);
  const lines = rows.map((key) => [
    `${key.prefix}…`,
    key.name,
    key.scopes.join(","),
    key.created_at.toISOString(),
    key.revoked_at ? `revoked ${key.revoked_at.toISOString()}` : "",
  ]);
  for (const line of table([["KEY", "NAME", "SCOPES", "CREATED", ""], ...lines])) print(line);
}

async function revoke(target: string): Promise<void> {
  const isRevoked = await withStore(({ db }) => revokeApiKey(db, target.replace(/…$/, "")));
  if (!isRevoked)
    throw new UsageError(`There is no valid key "${target}"; list them with: npx fanmail keys list`);
  print("Revoked.");
}
