import { sqlState } from "../storage/database-errors.ts";
import { insertProject, listProjects, setProjectRules } from "../storage/projects.ts";
import { type Command, print, printJson, readArgs, table, UsageError } from "./command.ts";
import { projectNamed, withStore } from "./with-store.ts";

const uniqueViolation = "23505";

export const projects: Command = {
  help: [
    "fanmail projects list [--json]",
    "fanmail projects create <name> [--json]",
    "fanmail projects set <name> [--open-window-seconds 1200] [--machine-filter on|off]",
    "",
    "New rules hold for events that come; fanmail rebuild applies them to those that are there.",
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, {
      json: { type: "boolean", default: false },
      "open-window-seconds": { type: "string" },
      "machine-filter": { type: "string" },
    });
    const [action, name] = positionals;
    if (action === "list") await list(values.json);
    else if (action === "create" && name) await create(name, values.json);
    else if (action === "set" && name) {
      await set(name, {
        openWindowSeconds: readSeconds(values["open-window-seconds"]),
        machineFilter: readSwitch(values["machine-filter"]),
      });
    } else throw new UsageError("Say what to do: list, create <name>, or set <name>");
    return 0;
  },
};

type Rules = { openWindowSeconds: number | undefined; machineFilter: boolean | undefined };

async function set(name: string, rules: Rules): Promise<void> {
  if (rules.openWindowSeconds === undefined && rules.machineFilter === undefined) {
    throw new UsageError("Say what to set: --open-window-seconds or --machine-filter");
  }
  await withStore(async (store) => {
    const project = await projectNamed(store, name);
    await setProjectRules(store.db, project.id, rules);
  });
  print(`Set. For emails that are there already: fanmail rebuild --project ${name}`);
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
  const rows = await withStore(({ db }) => listProjects(db));
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
  });
  if (asJson) printJson({ id, name });
  else print(`Created the project "${name}" (${id}).`);
}
