import { expect } from "vitest";
import { eraseStep } from "../../src/erasure/erase-person.ts";
import { send, track } from "../http/api.ts";
import { projectTest } from "../support/project-test.ts";
import type { TestServiceOptions } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";

export const jane = "Jane.Doe@Example.com";
const headers = [{ name: "To", value: `Jane Doe <${jane}>, Joe Bloggs <joe@example.com>` }];
export const person = { userAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/97.0", ipAddress: "198.51.100.77" };
export const toJane = { messageId: "message-1", to: [jane] };
export const toBoth = { messageId: "message-2", to: [jane, "joe@example.com"], mail: { headers } };

/** A test that erases Jane from its project. */
export const erasureTest = (options: Omit<TestServiceOptions, "databaseUrl"> = {}) =>
  projectTest(options).extend("erasure", ({ project, database: { db } }, { onCleanup }) => {
    async function eraseAll(): Promise<void> {
      let isMore = true;
      while (isMore) isMore = await eraseStep(db);
    }
    // A rebuild of all projects is refused while an erasure is open.
    onCleanup(eraseAll);
    return {
      janesMail: () =>
        project.apply(
          sesEvent("Send", {
            ...toJane,
            mail: {
              commonHeaders: { from: ["shop@example.org"], subject: "Jane, your order" },
              tags: { user: ["jane-77"] },
            },
          }),
          sesEvent("Delivery", {
            ...toJane,
            after: 5,
            detail: { smtpResponse: "250 to jane.doe@example.com" },
          }),
          sesEvent("Open", { ...toJane, after: 60, detail: person }),
          sesEvent("Click", {
            ...toJane,
            after: 90,
            detail: { ...person, link: "https://example.org/?for=jane.doe%40example.com" },
          }),
        ),
      mailToBoth: () =>
        project.apply(
          sesEvent("Send", toBoth),
          sesEvent("Delivery", { ...toBoth, after: 4 }),
          sesEvent("Bounce", {
            ...toBoth,
            after: 5,
            detail: {
              feedbackId: "feedback-1",
              bouncedRecipients: [
                {
                  emailAddress: jane,
                  diagnosticCode: "550 <Jane.Doe@example.com> unknown",
                  action: "failed",
                },
              ],
            },
          }),
        ),
      async track(email: string, event: string, properties: object): Promise<void> {
        expect((await track(project, { email, event, properties }))[0]).toBe(201);
      },
      get: async (path: string): Promise<unknown> => (await project.get(path)).json(),
      erase: (query = "", key = project.key) =>
        send(project, "DELETE", `/v1/recipients/jane.doe@example.com${query}`, undefined, { key }),
      eraseAll,
      /** The tables in which a text stands somewhere, in whatever case. */
      async tablesWith(text: string): Promise<string[]> {
        const tables = await db.query<{ name: string; is_shared: boolean }>(
          `select relname as name, not exists (
             select from pg_attribute where attrelid = pg_class.oid and attname = 'project_id') as is_shared
           from pg_class
           where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
        );
        const found: string[] = [];
        for (const { name, is_shared } of tables) {
          const own = is_shared ? "" : `project_id = '${project.id}' and`;
          const rows = await db.query(`select 1 from ${name} where ${own} ${name}::text ilike $1 limit 1`, [
            `%${text}%`,
          ]);
          if (rows.length > 0) found.push(name);
        }
        return found;
      },
    };
  });
