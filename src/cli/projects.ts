import { sqlState } from "../storage/database-errors.ts";
import { insertProject, listProjects, setProjectRules } from "../storage/projects.ts";
import { type Command, print, printJson, readAction, table, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

const uniqueViolation = "23505";

export const projects: Command = {
  help: [
    "npx fanmail projects list [--json]",
    "npx fanmail projects create <name> [--json]",
    "npx fanmail projects set <name> [--open-window-seconds 1200] [--machine-filter on|off]",
    "",
    "New rules hold for events that come; fanmail rebuild applies them to those that are there.",
  ].join("\n"),
  async run(args) {
    const { action, target, values } = readAction(args, options, {
      list: { options: ["json"] },
      create: { target: "<name>", options: ["json"] },
      set: { target: "<name>", options: ["open-window-seconds", "machine-filter"] },
    });
    if (action === "list") await list(values.json);
    else if (action === "create") await create(target, values.json);
    else {
      await set(target, {
        openWindowSeconds: readSeconds(values["open-window-seconds"]),
        machineFilter: readSwitch(values["machine-filter"]),
      });
    }
    return 0;
  },
};

const options = {
  json: { type: "boolean", default: false },
  "open-window-seconds": { type: "string" },
  "machine-filter": { type: "string" },
} as const;

type Rules = { openWindowSeconds: number | undefined; machineFilter: boolean | undefined };

async function set(name: string, rules: Rules): Promise<void> {
  if (rules.openWindowSeconds === undefined && rules.machineFilter === undefined) {
    throw new UsageError("Say what to set: --open-window-seconds or --machine-filter");
  }
  await withStore(async (store) => {
    const project = await projectNamed(store, name);
    await setProjectRules(store.db, project.id, rules);
  });
  print(`Set. For emails that are there already: npx fanmail rebuild --project ${name}`);
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

async function list(asJson: boolean): Promise<void> {
  const rows = await readStored(({ db }) => listProjects(db));
  if (asJson) return printJson(rows);
  for (const line of table([["NAME", "ID"], ...rows.map(({ name, id }) => [name, id])])) print(line);
}

async function create(name: string, asJson: boolean): Promise<void> {
  const id = await withStore(async ({ db, clock }) => {
    const newId = clock.newId();
    await insertProject(db, newId, name).catch((cause: unknown) => {
      if (sqlState(cause) !== uniqueViolation) throw cause;
      throw new UsageError(`There is a project "${name}" already`, { cause });
    });
    return newId;
  }, making);
  if (asJson) printJson({ id, name });
  else print(`Created the project "${name}" (${id}).`);
}
