import { sqlState } from "../storage/database-errors.ts";
import { insertProject, listProjects, setProjectRules } from "../storage/projects.ts";
import { commandWithActions, print, printJson, printList, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

const uniqueViolation = "23505";

export const projects = commandWithActions(
  [
    "npx fanmail projects list [--json]",
    "npx fanmail projects create <name> [--json]",
    "npx fanmail projects set <name> [--open-window-seconds 1200] [--machine-filter on|off]",
    "",
    "New rules apply to new events; fanmail rebuild applies them to existing ones.",
  ].join("\n"),
  {
    json: { type: "boolean", default: false },
    "open-window-seconds": { type: "string" },
    "machine-filter": { type: "string" },
  },
  {
    list: { options: ["json"], run: list },
    create: { target: "<name>", options: ["json"], run: create },
    set: { target: "<name>", options: ["open-window-seconds", "machine-filter"], run: set },
  },
);

type SetOptions = {
  target: string;
  "open-window-seconds"?: string | undefined;
  "machine-filter"?: string | undefined;
};

async function set({ target: name, ...given }: SetOptions): Promise<void> {
  const rules = {
    openWindowSeconds: readSeconds(given["open-window-seconds"]),
    machineFilter: readSwitch(given["machine-filter"]),
  };
  if (rules.openWindowSeconds === undefined && rules.machineFilter === undefined) {
    throw new UsageError("Say what to set: --open-window-seconds or --machine-filter");
  }
  await withStore(async (store) => {
    const project = await projectNamed(store, name);
    await setProjectRules(store.db, project.id, rules);
  });
  print(`Set. For existing emails: npx fanmail rebuild --project ${name}`);
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,8}$/.test(text))
    throw new UsageError(`--open-window-seconds must be a whole number, not "${text}"`);
  return Number(text);
}

function readSwitch(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text !== "on" && text !== "off")
    throw new UsageError(`--machine-filter must be on or off, not "${text}"`);
  return text === "on";
}

async function list({ json }: { json: boolean }): Promise<void> {
  const rows = await readStored(({ db }) => listProjects(db));
  printList(rows, json, ["NAME", "ID"], ({ name, id }) => [name, id]);
}

async function create({ target: name, json }: { target: string; json: boolean }): Promise<void> {
  const id = await withStore(async ({ db, clock }) => {
    const newId = clock.newId();
    await insertProject(db, newId, name).catch((cause: unknown) => {
      if (sqlState(cause) !== uniqueViolation) throw cause;
      throw new UsageError(`There is a project "${name}" already`, { cause });
    });
    return newId;
  }, making);
  if (json) printJson({ id, name });
  else print(`Created the project "${name}" (${id}).`);
}
