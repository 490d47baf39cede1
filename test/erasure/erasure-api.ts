import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { eraseStep } from "../../src/erasure/erase-person.ts";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService, testApiKey } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";

export const jane = "Jane.Doe@Example.com";
const headers = [{ name: "To", value: `Jane Doe <${jane}>, Joe Bloggs <joe@example.com>` }];
export const person = { userAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/97.0", ipAddress: "198.51.100.77" };
export const toJane = { messageId: "message-1", to: [jane] };
export const toBoth = { messageId: "message-2", to: [jane, "joe@example.com"], mail: { headers } };

/** A service without workers, of a file. Each test begins with empty tables. */
export class ErasureApi {
  database!: TestDatabase;
  service!: TestService;

  constructor() {
    beforeAll(async () => {
      this.database = await testDatabase();
      this.service = await startTestService({
        databaseUrl: this.database.url,
        roles: { receiver: true, workers: false },
      });
    });
    beforeEach(() => this.database.empty());
    afterAll(async () => {
      await this.service?.close();
      await this.database?.drop();
    });
  }

  async janesMail(): Promise<void> {
    const subject = "Jane, your order";
    await apply(
      this.service,
      sesEvent("Send", {
        ...toJane,
        mail: { commonHeaders: { from: ["shop@example.org"], subject }, tags: { user: ["jane-77"] } },
      }),
      sesEvent("Delivery", { ...toJane, after: 5, detail: { smtpResponse: "250 to jane.doe@example.com" } }),
      sesEvent("Open", { ...toJane, after: 60, detail: person }),
      sesEvent("Click", {
        ...toJane,
        after: 90,
        detail: { ...person, link: "https://example.org/?for=jane.doe%40example.com" },
      }),
    );
  }

  async mailToBoth(): Promise<void> {
    await apply(
      this.service,
      sesEvent("Send", toBoth),
      sesEvent("Delivery", { ...toBoth, after: 4 }),
      sesEvent("Bounce", {
        ...toBoth,
        after: 5,
        detail: {
          feedbackId: "feedback-1",
          bouncedRecipients: [
            { emailAddress: jane, diagnosticCode: "550 <Jane.Doe@example.com> unknown", action: "failed" },
          ],
        },
      }),
    );
  }

  async erase(query = "", key = testApiKey): Promise<[number, unknown]> {
    const answer = await this.service.request("DELETE", `/v1/recipients/jane.doe@example.com${query}`, {
      key,
    });
    return [answer.status, await answer.json()];
  }

  async eraseAll(): Promise<void> {
    let isMore = true;
    while (isMore) isMore = await eraseStep(this.database.db);
  }

  /** The tables in which a text stands somewhere, in whatever case. */
  async tablesWith(text: string): Promise<string[]> {
    const tables = await this.database.db.query<{ name: string }>(
      `select relname as name from pg_class
       where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
    );
    const found: string[] = [];
    for (const { name } of tables) {
      const rows = await this.database.db.query(
        `select 1 from ${name} where ${name}::text ilike $1 limit 1`,
        [`%${text}%`],
      );
      if (rows.length > 0) found.push(name);
    }
    return found;
  }

  async get(path: string): Promise<unknown> {
    return (await this.service.get(path)).json();
  }

  async track(email: string, event: string, properties: object): Promise<void> {
    const answer = await this.service.request("POST", "/v1/events", { body: { email, event, properties } });
    expect(answer.status).toBe(201);
  }
}
