import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import type { TestProject } from "../support/project-test.ts";
import type { TestRequest, TestService } from "../support/service.ts";
import { asMessage } from "../support/ses.ts";
import { until } from "../support/wait.ts";

type Activity = { id: string; message_id: string; recipient_primary: string; created_at: string };
export type Page = {
  success: true;
  data: Activity[];
  pagination: {
    page: number;
    per_page: number;
    total: number;
    total_pages: number;
    total_estimated?: true;
    next_cursor: string | null;
  };
};

type WebhookBody = { event: string; data: Record<string, unknown> };
export type Tracked = { event_id: string; recipient_id: string };

/** Posts events as SNS does, one after the other, and waits until they are applied. */
export async function feed({ ingest, signer, context }: TestService, ...payloads: unknown[]): Promise<void> {
  for (const payload of payloads) {
    const answer = await ingest(signer.notification(asMessage(payload)));
    expect(answer.status).toBe(200);
  }
  await until("all batches are applied", async () => {
    const open = await context.db.query("select 1 from batches where applied_at is null");
    return open.length === 0;
  });
}

/** A project asks with its key, a service with that of the default project. */
type Client = Pick<TestService, "get" | "request">;

/** Status and body of an answer; that it is JSON is asserted. */
export async function ask(client: Client, path: string, key?: string): Promise<[number, unknown]> {
  const answer = await client.get(path, key);
  expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
  return [answer.status, await answer.json()];
}

/** As `ask`, with another method than GET. */
export async function send(
  { request }: Client,
  method: string,
  path: string,
  body?: unknown,
  options: TestRequest = {},
): Promise<[number, unknown]> {
  const answer = await request(method, path, { ...(body !== undefined && { body }), ...options });
  return [answer.status, await answer.json()];
}

export function track(client: Client, body: unknown, options?: TestRequest): Promise<[number, unknown]> {
  return send(client, "POST", "/v1/events", body, options);
}

export async function tracked(client: Client, body: unknown): Promise<Tracked> {
  const [status, answer] = await track(client, body);
  expect([status, answer]).toEqual([201, expect.anything()]);
  return answer as Tracked;
}

export function stored({ select }: TestProject): Promise<{ id: string; name: string }[]> {
  return select("select id, name from events order by id");
}

/** The bodies of the project's webhooks, the oldest first. */
export async function webhooksOf({ select }: TestProject): Promise<WebhookBody[]> {
  const rows = await select<{ body: string }>("select body from deliveries order by created_at, id");
  return rows.map(({ body }) => JSON.parse(body));
}

/** A page of the list. */
export async function list(client: Client, query: string): Promise<Page> {
  const [status, body] = await ask(client, `/v1/activity?${query}`);
  expect([status, body]).toEqual([200, expect.objectContaining({ success: true })]);
  return body as Page;
}

export async function messageIds(client: Client, query: string): Promise<string[]> {
  return (await list(client, query)).data.map(({ message_id }) => message_id);
}

/** The id of the only activity of a message. */
export async function idOf({ select }: Pick<TestProject, "select">, messageId: string): Promise<string> {
  const rows = await select<{ id: string }>("select id from activity where message_id = $1", [messageId]);
  expect(rows).toHaveLength(1);
  return rows[0]?.id ?? "";
}

export type SeededRow = { id?: string; messageId: string; createdAt: string; status?: string };

/** Writes activities with times of the test's choice. */
export async function seed(db: Database, projectId: string, rows: readonly SeededRow[]): Promise<void> {
  await db.query(
    `insert into activity (project_id, id, message_id, recipient, recipient_as_sent, is_test, current_status,
       open_count, click_count, recipient_certain, created_at)
     select $1, id, message_id, 'jane@example.com', 'jane@example.com', false, status, 0, 0, true, created_at
     from unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) as rows(id, message_id, created_at, status)`,
    [
      projectId,
      rows.map(({ id }) => id ?? randomUUID()),
      rows.map(({ messageId }) => messageId),
      rows.map(({ createdAt }) => createdAt),
      rows.map(({ status }) => status ?? "sent"),
    ],
  );
}
