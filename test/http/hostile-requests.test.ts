import fc from "fast-check";
import { expect } from "vitest";
import { atLength } from "../support/length.ts";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { testApiKey } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { tracked } from "./api.ts";
import { hostileRequests } from "./hostile-requests.ts";

const requestsPerOperation = atLength(20, 60);

const test = projectTest({
  roles: { receiver: true, workers: false },
  environment: { RATE_LIMIT_PER_MINUTE: "100000000" },
});

/** The ids of what there is, so that requests get further than to a 404. */
async function fill(project: TestProject): Promise<string[]> {
  await project.apply(
    sesEvent("Send"),
    sesEvent("Bounce", { after: 5, detail: { feedbackId: "f", bounceSubType: "NoEmail" } }),
    sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0 (Windows)", ipAddress: "192.0.2.1" } }),
  );
  for (const event of ["login", "confirmation"]) {
    await tracked(project, { email: "kim@example.org", event, properties: { orderId: "1" } });
  }
  const rows = await project.select<{ id: string }>(
    "select id::text from activity union all select id::text from events",
  );
  const feed = (await (await project.get("/emailit/v1/events")).json()) as { data: { id: string }[] };
  return [...rows, ...feed.data].map(({ id }) => id).concat("jane@example.com", "kim@example.org");
}

test("no request to any operation is answered 5xx, or other than /openapi.json says", async ({
  project,
  service,
}) => {
  const ids = await fill(project);
  const statuses = new Map<number, number>();
  for (const [template, operations] of Object.entries(service.contract.document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      await fc.assert(
        fc.asyncProperty(hostileRequests(template, method, operation, ids), async (request) => {
          const { path, ...init } = request;
          const headers = { ...init.headers, authorization: `Bearer ${project.key}` };
          const answer = await fetch(service.url + path, { ...init, headers });
          await service.contract.check(init.method, path, answer);
          await answer.arrayBuffer();
          expect(answer.status).toBeLessThan(500);
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        }),
        { numRuns: requestsPerOperation, endOnFailure: false },
      );
    }
  }
  // They get to every kind of answer, and not only to the first check.
  const reached = [...statuses.keys()].sort();
  expect(reached).toEqual(expect.arrayContaining([200, 201, 400, 404, 413, 415]));
}, 300_000);

test.for<[string, string]>([
  ["", "Basic dXNlcjpwYXNz"],
  ["", "Bearer"],
  ["", "Bearer sk_proj_"],
  ["", `Bearer sk_proj_${"x".repeat(100)}`],
  ["", `Bearer sk_proj_${"\u00ff".repeat(40)}`],
  ["", `Bearer ${testApiKey} ${testApiKey}`],
  ["?api_key=1", ""],
])("an invalid key is answered 401: %s%s", async ([query, authorization], { service }) => {
  for (const [template, operations] of Object.entries(service.contract.document.paths)) {
    const path = template.replace(/\{\w+\}/, "1") + query;
    for (const method of Object.keys(operations)) {
      const answer = await fetch(service.url + path, {
        method: method.toUpperCase(),
        headers: { authorization },
      });
      await service.contract.check(method, path, answer);
      expect([path, answer.status]).toEqual([path, 401]);
    }
  }
});
