import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type TestDatabase, testDatabase } from "./support/database.ts";
import { startTestService, type TestService } from "./support/service.ts";
import { asMessage } from "./support/ses.ts";
import { until } from "./support/wait.ts";

/*
 * Each file of fixtures/cases holds messages of SES, in order, and the rows and suppressions that follow from them:
 * exactly one row for each of `rows`, with at least the fields that it names.
 */

const SesCase = z.object({
  about: z.string(),
  messages: z.array(z.unknown()),
  expected: z.object({
    rows: z.array(z.looseObject({ email: z.string() })),
    /** Address → reason, or null for one that is not suppressed; of others than those of the messages nothing is said. */
    suppressed: z.record(z.string(), z.string().nullable()).optional(),
  }),
});
const Row = z.looseObject({ recipient_primary: z.string() });
const Suppression = z.object({ email: z.string(), reason: z.string() });

const directory = new URL("./fixtures/cases/", import.meta.url);
const names = readdirSync(directory).filter((name) => name.endsWith(".json"));

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service.close();
  await database.drop();
});
beforeEach(async () => {
  await database.db.query("truncate activity, events, recipients, suppressions, batches, notifications");
});

async function ingest(messages: readonly unknown[]): Promise<void> {
  for (const message of messages) {
    const answer = await service.ingest(service.signer.notification(asMessage(message)));
    expect(answer.status).toBe(200);
  }
  await until("all batches are applied", async () => {
    return (await database.db.query("select 1 from batches where applied_at is null")).length === 0;
  });
}

async function listed<Item>(path: string, item: z.ZodType<Item>): Promise<Item[]> {
  const answer = await service.get(`${path}?per_page=100`);
  return z.object({ data: z.array(item) }).parse(await answer.json()).data;
}

test.each(names)("%s makes the rows and suppressions that it says", async (name) => {
  const { messages, expected } = SesCase.parse(JSON.parse(readFileSync(new URL(name, directory), "utf8")));
  await ingest(messages);

  const rows = await listed("/v1/activity", Row);
  const byEmail = ({ email: one }: { email: string }, { email: other }: { email: string }) =>
    one < other ? -1 : 1;
  expect(
    rows.map(({ recipient_primary, ...row }) => ({ ...row, email: recipient_primary })).toSorted(byEmail),
  ).toEqual(expected.rows.toSorted(byEmail).map((row) => expect.objectContaining(row)));
  if (expected.suppressed !== undefined) {
    const suppressed = await listed("/v1/suppressions", Suppression);
    const posted = JSON.stringify(messages);
    const reasons = Object.entries(expected.suppressed).filter(
      ([email, reason]) => reason !== null && posted.includes(email),
    );
    expect(Object.fromEntries(suppressed.map(({ email, reason }) => [email, reason]))).toEqual(
      Object.fromEntries(reasons),
    );
  }
  expect(
    await database.db.query("select body from notifications where quarantine_reason is not null"),
  ).toEqual([]);
});
