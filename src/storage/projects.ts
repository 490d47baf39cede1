import type { Database } from "./database.ts";

/** Made by the first migration. */
export const defaultProjectId = "00000000-0000-8000-8000-000000000001";

export type Project = { id: string; name: string; open_window_seconds: number | null; created_at: Date };

export async function insertProject(db: Database, id: string, name: string): Promise<void> {
  await db.query("insert into projects (id, name) values ($1, $2)", [id, name]);
}

export async function listProjects(db: Database): Promise<Project[]> {
  return db.query<Project>(
    "select id, name, open_window_seconds, created_at from projects order by created_at, name",
  );
}

/** @param nameOrId a project's name, or its id. */
export async function findProject(db: Database, nameOrId: string): Promise<Project | null> {
  const [project] = await db.query<Project>(
    "select id, name, open_window_seconds, created_at from projects where name = $1 or id::text = lower($1)",
    [nameOrId],
  );
  return project ?? null;
}

/** The rules that projects set for themselves, by project id. */
export async function openWindows(db: Database): Promise<Map<string, number>> {
  const rows = await db.query<{ id: string; open_window_seconds: number }>(
    "select id, open_window_seconds from projects where open_window_seconds is not null",
  );
  return new Map(rows.map((row) => [row.id, row.open_window_seconds]));
}
