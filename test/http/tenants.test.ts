import { expect } from "vitest";
import type { TestDatabase } from "../support/database.ts";
import { newProject, projectTest, type TestProject } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { send, tracked } from "./api.ts";

/*
 * What belongs to one project does not exist for another. The walk goes over `/openapi.json`, so that a route that
 * comes later is in it, or fails for want of an id to ask with.
 */

const address = "jane@example.com";

type Owner = TestProject & {
  /** Path of OpenAPI → the paths of what the project has. */
  existing: Record<string, string[]>;
};

const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "owner",
  { scope: "file" },
  async ({ service }): Promise<Owner> => {
    const project = await newProject(service);
    return { ...project, existing: await fill(project) };
  },
);

async function fill(project: TestProject): Promise<Owner["existing"]> {
  await project.apply(
    sesEvent("Send", { mail: { tags: { activity_id: ["0b0f7d1e-6f2f-4cde-9a0e-6b2f3c4d5e6f"] } } }),
    sesEvent("Bounce", { after: 5, detail: { feedbackId: "f", bounceSubType: "NoEmail" } }),
  );
  const { event_id } = await tracked(project, { email: address, event: "login" });
  const [activity] = await project.select("select id, tagged_id from activity");
  const [event] = await project.select("select id from events where type = 'bounced'");
  const feed = (await (await project.get("/emailit/v1/events")).json()) as { data: { id: string }[] };
  const webhook = await made(project, "/v1/webhooks", { url: "http://127.0.0.1:65535/hook" });
  const tested = await made(project, `/v1/webhooks/${webhook.id}/test`);
  const replay = await made(project, `/v1/webhooks/${webhook.id}/replays`, {
    since: "2026-01-01",
    scope: "all",
  });
  const ofWebhook = (path: string) => [`/v1/webhooks/${webhook.id}${path}`];
  return {
    "/v1/webhooks/{id}": ofWebhook(""),
    "/v1/webhooks/{id}/test": ofWebhook("/test"),
    "/v1/webhooks/{id}/rotate-secret": ofWebhook("/rotate-secret"),
    "/v1/webhooks/{id}/enable": ofWebhook("/enable"),
    "/v1/webhooks/{id}/disable": ofWebhook("/disable"),
    "/v1/webhooks/{id}/deliveries": ofWebhook("/deliveries"),
    "/v1/webhooks/{id}/replays": ofWebhook("/replays"),
    "/v1/deliveries/{id}": [`/v1/deliveries/${tested.id}`],
    "/v1/deliveries/{id}/resend": [`/v1/deliveries/${tested.id}/resend`],
    "/v1/replays/{id}": [`/v1/replays/${replay.id}`],
    "/v1/activity/{id}": [`/v1/activity/${activity?.["id"]}`, `/v1/activity/${activity?.["tagged_id"]}`],
    "/v1/events/{id}": [`/v1/events/${event_id}`, `/v1/events/${event?.["id"]}`],
    "/emailit/v1/events/{id}": [
      `/emailit/v1/events/${event_id}`,
      ...feed.data.map(({ id }) => `/emailit/v1/events/${id}`),
    ],
    "/v1/recipients/{email}": [`/v1/recipients/${address}`],
    "/v1/user/{email}": [`/v1/user/${address}`],
    "/v1/suppressions/{email}": [`/v1/suppressions/${address}`],
    "/v1/suppressions": [`/v1/suppressions?email=${address}`],
  };
}

async function made(project: TestProject, path: string, body: unknown = {}): Promise<{ id: string }> {
  const answer = await project.request("POST", path, { body });
  expect([path, answer.ok]).toEqual([path, true]);
  return ((await answer.json()) as { data: { id: string } }).data;
}

/** Every row of every table that a request could change. */
async function everything({ db }: TestDatabase): Promise<unknown[]> {
  const tables = [
    "activity",
    "events",
    "recipients",
    "suppressions",
    "deliveries",
    "attempts",
    "orders",
    "erasures",
    "webhook_endpoints",
    "webhook_secrets",
    "replays",
  ];
  return Promise.all(tables.map((table) => db.query(`select * from ${table} order by ${table}::text`)));
}

/** Method and path of every route that names one thing. A list without an id in its path is another project's own. */
function routesById({ contract }: TestService, { existing }: Owner): { method: string; path: string }[] {
  return Object.entries(contract.document.paths).flatMap(([template, operations]) =>
    Object.keys(operations)
      .filter((method) => template.includes("{") || method === "delete")
      .flatMap((method) => {
        expect([template, existing[template]]).not.toEqual([template, undefined]);
        return (existing[template] ?? []).map((path) => ({ method, path }));
      }),
  );
}

test("by id: 404 for the other project on every route, nothing changes, and its owner finds it", async ({
  owner,
  otherProject,
  database,
  service,
}) => {
  const before = await everything(database);
  const routes = routesById(service, owner);
  expect(routes.length).toBeGreaterThanOrEqual(24);
  // What every route that takes a body takes; unknown fields are ignored.
  const body = { since: "2026-01-01", scope: "all" };
  for (const { method, path } of routes) {
    const options = ["post", "patch"].includes(method) ? { body } : {};
    const answer = await otherProject.request(method.toUpperCase(), path, options);
    expect([method, path, answer.status]).toEqual([method, path, 404]);
  }
  expect(await everything(database)).toEqual(before);
  for (const { path } of routes.filter(({ method }) => method === "get")) {
    expect([path, (await owner.get(path)).status]).toEqual([path, 200]);
  }
});

test("lists and statistics of the other project hold nothing of it", async ({
  owner,
  otherProject,
  service,
}) => {
  const lists = Object.entries(service.contract.document.paths).filter(
    ([template, { get }]) => get !== undefined && !template.includes("{"),
  );
  expect(lists.length).toBeGreaterThanOrEqual(8);
  const paths = lists.flatMap(([path, { get }]) =>
    get?.parameters?.some(({ name }) => name === "email") ? [path, `${path}?email=${address}`] : [path],
  );
  expect(paths.length).toBeGreaterThan(lists.length);
  for (const path of paths) {
    const [own, others] = await Promise.all([owner.get(path), otherProject.get(path)]);
    expect([path, own.status, others.status]).toEqual([path, 200, 200]);
    const [ownText, othersText] = [await own.text(), await others.text()];
    // Domains of the sender and the recipients, and the message.
    expect([path, /example\.(com|org)|message-1/.exec(othersText)]).toEqual([path, null]);
    expect([path, othersText]).not.toEqual([path, ownText]);
  }
});

test("writing about the same address touches the other project's own rows alone", async ({
  owner,
  otherProject,
}) => {
  const [recipient] = await owner.select("select id from recipients");
  const mine = () => owner.select("select address, attributes::text from recipients order by address");
  const before = await mine();
  const post = (path: string, body: unknown) => send(otherProject, "POST", path, body);

  const byId = await post("/v1/event", { user: { _id: recipient?.["id"] }, event: { login: { city: "X" } } });
  const byAddress = await post("/v1/event", { user: { email: address }, event: { login: { city: "X" } } });
  expect([byId[0], byAddress[0]]).toEqual([404, 404]);
  const [, stored] = await post("/v1/events", { email: address, event: "login", properties: { city: "X" } });
  expect(stored).toMatchObject({ created_lead: true });
  const [, suppressed] = await post("/v1/suppressions", { email: address });
  expect(suppressed).toEqual({ success: true, total: 1, added: 1 });

  expect(await mine()).toEqual(before);
});

test("an Idempotency-Key, an order and a cursor are each project's own", async ({ owner, otherProject }) => {
  const confirm = (project: TestProject, orderId: string) =>
    project.request("POST", "/v1/events", {
      headers: { "idempotency-key": "same" },
      body: { email: "kim@example.com", event: "confirmation", properties: { orderId } },
    });
  const [own, others] = [await confirm(owner, "7"), await confirm(otherProject, "7")];
  expect([own.status, others.status, others.headers.get("idempotency-replayed")]).toEqual([201, 201, null]);
  expect(await others.json()).not.toHaveProperty("discarded");

  type Page = { pagination: { next_cursor: string } };
  const page = (await (await owner.get("/v1/events?per_page=1")).json()) as Page;
  const walked = await otherProject.get(`/v1/events?cursor=${page.pagination.next_cursor}`);
  expect(await walked.text()).not.toContain("message-1");
  expect(walked.status).toBe(200);
});
