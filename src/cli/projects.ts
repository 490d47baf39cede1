import { sqlState } from "../storage/database-errors.ts";
import { insertProject, listProjects } from "../storage/projects.ts";
import { type Command, print, printJson, readArgs, table, UsageError } from "./command.ts";
import { withStore } from "./with-store.ts";

const uniqueViolation = "23505";

export const projects: Command = {
  help: "fanmail projects list [--json]\nfanmail projects create <name> [--json]",
  async run(args) {
    const { values, positionals } = readArgs(args, { json: { type: "boolean" } });
    const [action, name] = positionals;
    if (action === "list") await list(values.json ?? false);
    else if (action === "create" && name) await create(name, values.json ?? false);
    else throw new UsageError("Say what to do: list, or create <name>");
    return 0;
  },
};

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
