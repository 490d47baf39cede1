import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { z } from "zod";
import { projectTest, type TestProject } from "./support/project-test.ts";

/*
 * Each file of fixtures/cases holds messages of SES, in order, and the rows and suppressions that follow from them:
 * exactly one row for each of `rows`, with at least the fields that it names.
 */

const SesCase = z.object({
  about: z.string(),
  messages: z.array(z.looseObject({})),
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

const test = projectTest({ roles: { receiver: true, workers: false } });

async function listed<Item>({ get }: TestProject, path: string, item: z.ZodType<Item>): Promise<Item[]> {
  const answer = await get(`${path}?per_page=100`);
  return z.object({ data: z.array(item) }).parse(await answer.json()).data;
}

test.for(names)("%s makes the rows and suppressions that it says", async (name, { project }) => {
  const { messages, expected } = SesCase.parse(JSON.parse(readFileSync(new URL(name, directory), "utf8")));
  for (const message of messages) await project.apply(message);

  const rows = await listed(project, "/v1/activity", Row);
  const byEmail = ({ email: one }: { email: string }, { email: other }: { email: string }) =>
    one < other ? -1 : 1;
  expect(
    rows.map(({ recipient_primary, ...row }) => ({ ...row, email: recipient_primary })).toSorted(byEmail),
  ).toEqual(expected.rows.toSorted(byEmail).map((row) => expect.objectContaining(row)));
  if (expected.suppressed !== undefined) {
    const suppressed = await listed(project, "/v1/suppressions", Suppression);
    const posted = JSON.stringify(messages);
    const reasons = Object.entries(expected.suppressed).filter(
      ([email, reason]) => reason !== null && posted.includes(email),
    );
    expect(Object.fromEntries(suppressed.map(({ email, reason }) => [email, reason]))).toEqual(
      Object.fromEntries(reasons),
    );
  }
  expect(await project.select("select body from notifications where quarantine_reason is not null")).toEqual(
    [],
  );
});
