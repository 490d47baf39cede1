import { randomBytes } from "node:crypto";
import type { StoreContext } from "../context.ts";
import { apiKey, apiKeyHash, apiKeyPrefix, scopes } from "../domain/api-key.ts";
import { insertApiKey, listApiKeys, revokeApiKey } from "../storage/api-keys.ts";
import { type Command, print, printJson, readArgs, readChoices, table, UsageError } from "./command.ts";
import { projectNamed, withStore } from "./with-store.ts";

export const keys: Command = {
  help: [
    "fanmail keys create [--project default] [--name text] [--scopes activity:read,…|*] [--json]",
    "fanmail keys list [--json]",
    "fanmail keys revoke <prefix or id>",
    "",
    "A key is shown once, when it is created. A revoked key is refused within seconds.",
    `Scopes: ${scopes.join(", ")}, or * for all.`,
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, {
      project: { type: "string", default: "default" },
      name: { type: "string", default: "unnamed" },
      scopes: { type: "string", default: "*" },
      json: { type: "boolean", default: false },
    });
    const [action, target] = positionals;
    if (action === "create") await create(values);
    else if (action === "list") await list(values.json);
    else if (action === "revoke" && target) await revoke(target);
    else throw new UsageError("Say what to do: create, list, or revoke <prefix or id>");
    return 0;
  },
};

type CreateOptions = { project: string; name: string; scopes: string; json: boolean };

async function create(options: CreateOptions): Promise<void> {
  const granted = readChoices("scopes", options.scopes, [...scopes, "*"]);
  const key = await withStore(async (store) => {
    const project = await projectNamed(store, options.project);
    return createApiKey(store, project.id, options.name, granted);
  });
  if (options.json) return printJson({ key, name: options.name, project: options.project, scopes: granted });
  print(key);
  process.stderr.write("Keep it now: it is not shown again.\n");
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
  const rows = await withStore(({ db }) => listApiKeys(db));
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
    throw new UsageError(`There is no valid key "${target}"; list them with: fanmail keys list`);
  print("Revoked.");
}
