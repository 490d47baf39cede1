import type { ActivityRules } from "../domain/mail/activity.ts";
import type { Database } from "./database.ts";

/** Created by the first migration. */
export const defaultProjectId = "00000000-0000-8000-8000-000000000001";

export type Project = {
  id: string;
  name: string;
  /** null: OPEN_WINDOW_SECONDS. */
  open_window_seconds: number | null;
  machine_filter: boolean;
  created_at: Date;
};

const columns = "id, name, open_window_seconds, machine_filter, created_at";

export async function insertProject(db: Database, id: string, name: string): Promise<void> {
  await db.query("insert into projects (id, name) values ($1, $2)", [id, name]);
}

export async function listProjects(db: Database): Promise<Project[]> {
  return db.query<Project>(`select ${columns} from projects order by created_at, name`);
}

/** @param nameOrId a project's name, or its id. */
export async function findProject(db: Database, nameOrId: string): Promise<Project | null> {
  const [project] = await db.query<Project>(
    `select ${columns} from projects where name = $1 or id::text = lower($1)`,
    [nameOrId],
  );
  return project ?? null;
}

/** Changes a project's rules; undefined values stay. */
export async function setProjectRules(
  db: Database,
  id: string,
  rules: { openWindowSeconds?: number | undefined; machineFilter?: boolean | undefined },
): Promise<void> {
  await db.query(
    `update projects set open_window_seconds = coalesce($2, open_window_seconds),
       machine_filter = coalesce($3, machine_filter) where id = $1`,
    [id, rules.openWindowSeconds, rules.machineFilter],
  );
}

/**
 * The rules of projects, by project id.
 * @param openWindowSeconds for projects without a window of their own.
 */
export async function projectRules(
  db: Database,
  ids: readonly string[],
  openWindowSeconds: number,
): Promise<Map<string, ActivityRules>> {
  const projects = await db.query<Project>(`select ${columns} from projects where id = any($1::uuid[])`, [
    ids,
  ]);
  return new Map(
    projects.map(({ id, open_window_seconds, machine_filter }) => [
      id,
      { openWindowSeconds: open_window_seconds ?? openWindowSeconds, machineFilter: machine_filter },
    ]),
  );
}
