import { describe, expect } from "vitest";
import { z } from "zod";
import type { Context } from "../../src/context.ts";
import { openRebuild, runRebuild } from "../../src/tools/rebuild/rebuild.ts";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { type SesOptions, type SesPayload, sesEvent } from "../support/ses.ts";
import { ask, send, webhooksOf } from "./api.ts";

/*
 * Tenants of SES: the tag ses:tenant-name.
 */

/** Without workers, so that webhooks stay pending. */
const test = projectTest({ roles: { receiver: true, workers: false } });

function of(tenant: string | null, type: string, options: SesOptions = {}): SesPayload {
  const tags = tenant === null ? { email_type: ["receipt"] } : { "ses:tenant-name": [tenant] };
  return sesEvent(type, { messageId: `of-${tenant}`, ...options, mail: { tags, ...options.mail } });
}
const onList = { detail: { bounceType: "Permanent", bounceSubType: "OnTenantSuppressionList" }, after: 1 };

const Listed = z.object({
  data: z.array(z.looseObject({ tenant_name: z.string().nullable() })),
  pagination: z.object({ total: z.number() }),
});
async function listed(project: TestProject, path: string): Promise<z.infer<typeof Listed>> {
  const [status, body] = await ask(project, path);
  expect([path, status]).toEqual([path, 200]);
  return Listed.parse(body);
}
async function suppressed(project: TestProject, query = ""): Promise<unknown[]> {
  const { data, pagination } = await listed(project, `/v1/suppressions${query}`);
  expect(pagination.total).toBe(data.length);
  return data.map(({ tenant_name, email, reason }) => [tenant_name, email, reason]);
}
async function rebuild(context: Context, projectId: string): Promise<void> {
  const stop = new AbortController().signal;
  const options = { projectId, since: null, isDryRun: false, perSecond: 0, stop };
  const opened = await openRebuild(context, options, true);
  await runRebuild(context, opened, options, { onChange: () => {}, onStep: () => {} });
}
const linesOf = (csv: string) => csv.trim().split("\n").slice(1);

describe("emails", () => {
  test("are listed, exported and counted by tenant, and webhooks name it", async ({ project }) => {
    await project.addEndpoint("https://example.com/hook");
    await project.apply(of("acme", "Delivery"), of("other", "Delivery"), of(null, "Delivery"));

    expect((await listed(project, "/v1/activity?tenant_name=acme")).data).toEqual([
      expect.objectContaining({ message_id: "of-acme", tenant_name: "acme" }),
    ]);
    expect((await listed(project, "/v1/activity?tenant_name=acm")).data).toEqual([]);
    expect((await listed(project, "/v1/activity")).pagination.total).toBe(3);
    const csv = await (await project.get("/v1/activity.csv?tenant_name=other")).text();
    expect(linesOf(csv)).toEqual([expect.stringMatching(/of-other.*,other$/)]);
    const [, stats] = await ask(project, "/v1/domain-stats?tenant_name=acme");
    expect(stats).toMatchObject({ data: [{ domain: "example.org", total_delivered: 1 }] });
    expect((await webhooksOf(project)).map(({ data }) => data["tenant_name"]).sort()).toEqual([
      "acme",
      null,
      "other",
    ]);
  });

  test("without a tenant's name get it from a later event, and from a rebuild", async ({
    project,
    database,
    service,
  }) => {
    await project.apply(of(null, "Send", { messageId: "m" }));
    await project.apply(of("acme", "Delivery", { messageId: "m" }));
    expect((await listed(project, "/v1/activity")).data).toMatchObject([{ tenant_name: "acme" }]);

    await database.db.query("update activity set tenant_name = null where project_id = $1", [project.id]);
    await rebuild(service.context, project.id);
    expect((await listed(project, "/v1/activity?tenant_name=acme")).data).toMatchObject([
      { message_id: "m" },
    ]);
  });
});

describe("a bounce because of a tenant's list", () => {
  test("is recorded for that tenant alone, and sent as a bounce only", async ({ project }) => {
    await project.addEndpoint("https://example.com/hook");
    await project.apply(of("acme", "Bounce", onList), of("other", "Bounce", onList));

    expect(await suppressed(project)).toEqual([]);
    expect(await suppressed(project, "?tenant_name=acme")).toEqual([["acme", "jane@example.com", "bounce"]]);
    expect(await suppressed(project, "?tenant_name=*&email=jane@example.com")).toHaveLength(2);
    expect(await ask(project, "/v1/recipients/jane@example.com")).toMatchObject([
      200,
      { data: { suppressed: false } },
    ]);
    expect((await webhooksOf(project)).map(({ event }) => event)).toEqual(["email.bounce", "email.bounce"]);
  });

  test("leaves the list of the project to other bounces, which a tenant's email can make", async ({
    project,
  }) => {
    await project.apply(of("acme", "Bounce", { after: 1 }), of("other", "Bounce", onList));

    expect(await suppressed(project)).toEqual([[null, "jane@example.com", "bounce"]]);
    expect(await suppressed(project, "?tenant_name=*")).toHaveLength(2);
  });

  test("is recorded only once a later event names the tenant", async ({ project }) => {
    const bare = of(null, "Bounce", { ...onList, messageId: "m", mail: { tags: undefined } });
    await project.apply(bare);
    expect(await suppressed(project, "?tenant_name=*")).toEqual([]);

    await project.apply(of("acme", "Send", { messageId: "m" }));
    expect(await suppressed(project, "?tenant_name=*")).toEqual([["acme", "jane@example.com", "bounce"]]);
  });

  test("stays lifted when no new bounce arrives", async ({ project }) => {
    await project.apply(of("acme", "Bounce", onList));
    expect((await send(project, "DELETE", "/v1/suppressions/jane@example.com?tenant_name=acme"))[0]).toBe(
      200,
    );

    await project.apply(of("acme", "Bounce", onList), of("acme", "Send"));
    expect(await suppressed(project, "?tenant_name=*")).toEqual([]);
  });
});

describe("by hand", () => {
  const jane = "jane@example.com";

  test("an address is put on the lists that are named and taken off one, and webhooks say which", async ({
    project,
  }) => {
    await project.addEndpoint("https://example.com/hook");
    const list = [{ email: jane }, { email: jane, tenant_name: "other", reason: "complaint" }];
    expect(
      await send(project, "POST", "/v1/suppressions", { email: jane, tenant_name: "acme" }),
    ).toMatchObject([201, { added: 1 }]);
    expect(
      await send(project, "POST", "/v1/suppressions", { tenant_name: "acme", suppressions: list }),
    ).toMatchObject([201, { total: 2, added: 1 }]);
    expect(await send(project, "POST", "/v1/suppressions", { email: jane })).toMatchObject([
      201,
      { added: 1 },
    ]);

    expect(await suppressed(project, "?tenant_name=other&reason=complaint")).toEqual([
      ["other", jane, "complaint"],
    ]);
    expect(await suppressed(project)).toEqual([[null, jane, "manual"]]);
    expect(await send(project, "DELETE", `/v1/suppressions?email=${jane}&tenant_name=acme`)).toEqual([
      200,
      { success: true, removed: 1 },
    ]);
    expect((await send(project, "DELETE", `/v1/suppressions/${jane}?tenant_name=acme`))[0]).toBe(404);
    expect(await suppressed(project, "?tenant_name=*")).toHaveLength(2);
    expect((await webhooksOf(project)).map(({ event, data }) => [event, data["tenant_name"]])).toEqual([
      ["suppression.added", "acme"],
      ["suppression.added", "other"],
      ["suppression.added", null],
      ["suppression.removed", "acme"],
    ]);
  });

  test("pages and CSV hold all lists where all are asked for", async ({ project }) => {
    const names = ["acme", "other", null];
    const list = ["a", "b", "c"].flatMap((name) =>
      names.map((tenant_name) => ({ email: `${name}@example.com`, tenant_name })),
    );
    await send(project, "POST", "/v1/suppressions", { suppressions: list });

    const seen: unknown[] = [];
    let cursor = "";
    do {
      const [, page] = await ask(project, `/v1/suppressions?tenant_name=*&per_page=2${cursor}`);
      const read = Listed.extend({ pagination: z.object({ next_cursor: z.string().nullable() }) }).parse(
        page,
      );
      seen.push(...read.data.map(({ email, tenant_name }) => `${email} ${tenant_name}`));
      cursor = read.pagination.next_cursor === null ? "" : `&cursor=${read.pagination.next_cursor}`;
    } while (cursor !== "");
    expect(seen.sort()).toEqual(list.map(({ email, tenant_name }) => `${email} ${tenant_name}`).sort());
    expect(linesOf(await (await project.get("/v1/suppressions.csv?tenant_name=*")).text())).toHaveLength(9);
    expect(linesOf(await (await project.get("/v1/suppressions.csv")).text())).toHaveLength(3);
  });

  test.for(["*", "", "x".repeat(300), 5])(
    "a tenant's name that is %j is refused",
    async (tenant_name, { project }) => {
      expect((await send(project, "POST", "/v1/suppressions", { email: jane, tenant_name }))[0]).toBe(400);
      expect(await suppressed(project, "?tenant_name=*")).toEqual([]);
    },
  );
});

test("an erased person is taken off the lists of tenants too, unless suppressions are kept", async ({
  project,
}) => {
  await project.apply(of("acme", "Bounce", onList));
  await send(project, "DELETE", "/v1/recipients/jane@example.com?keep_suppression=true");
  expect(await suppressed(project, "?tenant_name=acme")).toHaveLength(1);

  expect(await send(project, "DELETE", "/v1/recipients/jane@example.com")).toMatchObject([
    200,
    { data: { erased: { suppression: true } } },
  ]);
  expect(await suppressed(project, "?tenant_name=*")).toEqual([]);
});
