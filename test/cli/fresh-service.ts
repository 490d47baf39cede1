import { randomBytes } from "node:crypto";
import type { StoreContext } from "../../src/context.ts";
import type { Database } from "../../src/storage/database.ts";
import { insertProject, listProjects } from "../../src/storage/projects.ts";
import { insertTopic } from "../../src/storage/topics.ts";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import { shopTopic } from "../../src/tools/demo/run-demo.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { until } from "../support/wait.ts";

/** What tells of arrival, as in the test of the week: all else is compared. */
const ofArrival = { columns: ["created_at", "updated_at"], detailKey: ["detail", "reclassified"] };

/** A service on a database of its own, that knows the shop's project and topic. */
export type Fresh = {
  database: TestDatabase;
  service: TestService;
  to: string;
  environment: Record<string, string>;
};

/** @param dataDir whose local certificate it trusts. */
export async function startFresh(demo: StoreContext, dataDir: string): Promise<Fresh> {
  const database = await testDatabase();
  // Ids of activities are computed from that of the project.
  const [shop] = (await listProjects(demo.db)).filter(({ name }) => name === "Example Shop");
  await insertProject(database.db, shop!.id, shop!.name);
  await insertTopic(database.db, { project_id: shop!.id, id: demo.clock.newId(), arn: shopTopic });
  const signer = await localSigner(dataDir);
  const environment = {
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    SNS_LOCAL_CERTS: `${signer.certificateUrl(shopTopic)}=${signer.certificatePath}`,
  };
  const service = await startTestService({ databaseUrl: database.url, environment });
  return { database, service, to: `${service.url}/ingest/sns`, environment };
}

export async function close({ service, database }: Fresh): Promise<void> {
  await service.close();
  await database.drop();
}

export async function applied({ database }: Fresh): Promise<void> {
  await until("all batches are applied", async () => {
    const waiting = await database.db.query("select 1 from batches where applied_at is null limit 1");
    return waiting.length === 0;
  });
}

export async function rowsOf(db: Database, table: "activity" | "events"): Promise<string[]> {
  const rows = await db.query<{ text: string }>(
    `select (to_jsonb(row) - $1::text[] #- $2::text[])::text as text from ${table} as row order by text`,
    [ofArrival.columns, ofArrival.detailKey],
  );
  return rows.map(({ text }) => text);
}
