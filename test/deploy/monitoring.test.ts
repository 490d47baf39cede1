import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";

/*
 * The dashboard and the alarms, held to what a running service gives; the runbook, held to the alarms.
 */

const docs = new URL("../../docs/", import.meta.url);

const Alerts = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^Fanmail[A-Z]\w+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+m$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(["warning", "critical"]) }),
          annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
        }),
      ),
    }),
  ),
});
const Source = z.object({ type: z.literal("prometheus"), uid: z.literal(`\${datasource}`) });
const Panel = z.object({
  id: z.number(),
  type: z.enum(["row", "stat", "timeseries"]),
  title: z.string().min(1),
  datasource: Source.optional(),
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  targets: z.array(z.object({ refId: z.string(), datasource: Source, expr: z.string() })).default([]),
});
const Dashboard = z.object({
  schemaVersion: z.int().min(36),
  title: z.literal("Fanmail"),
  panels: z.array(Panel),
  templating: z.object({
    list: z.array(z.object({ name: z.string(), type: z.string(), query: z.unknown() })),
  }),
});

const alerts = Alerts.parse(parse(await readFile(new URL("prometheus-alerts.yml", docs), "utf8")));
const rules = alerts.groups.flatMap((group) => group.rules);
const dashboardText = await readFile(new URL("grafana-dashboard.json", docs), "utf8");
const dashboard = Dashboard.parse(JSON.parse(dashboardText));
const operations = await readFile(new URL("operations.md", docs), "utf8");

/** Names of metrics in an expression: what is neither function, keyword, label nor text. */
function metricsOf(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, "")
    .replaceAll(/\b(by|without)\s*\([^)]*\)/g, "");
  const keywords = ["and", "or", "unless", "on", "ignoring", "bool", "offset"];
  return [...bare.matchAll(/[a-zA-Z_]\w*\b(?!\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !keywords.includes(name));
}

/** `name label` for each label that an expression selects by or groups by. */
function labelsOf(expr: string): string[] {
  return [...expr.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name = "", selectors = ""]) =>
    [...selectors.matchAll(/(\w+)\s*[=!]~?/g)].map(([, label = ""]) => `${name} ${label}`),
  );
}

test("the dashboard leaves the choice of Prometheus to whoever imports it", () => {
  const uids = [...dashboardText.matchAll(/"uid": "([^"]*)"/g)].map(([, uid]) => uid);

  expect(new Set(uids)).toEqual(new Set([`\${datasource}`, "fanmail"]));
  expect(dashboard.templating.list).toContainEqual({
    name: "datasource",
    type: "datasource",
    query: "prometheus",
  });
});

test("no panel of the dashboard is empty, lies on another, or shares its id", () => {
  const { panels } = dashboard;
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
  );

  expect(new Set(cells).size).toBe(cells.length);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { type, title, targets } of panels) expect(targets.length > 0, title).toBe(type !== "row");
});

test("alarms have names of their own", () => {
  expect(rules.length).toBeGreaterThanOrEqual(10);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});

test.each(rules)("the runbook tells of $alert what it means, how to look and what to do", (rule) => {
  const [, section = ""] = operations.split(`\n## ${rule.alert}\n`);
  const text = section.split("\n## ")[0] ?? "";

  expect(rule.annotations.runbook).toBe(`docs/operations.md#${rule.alert.toLowerCase()}`);
  for (const part of ["Means", "Look", "Do"]) expect(text).toContain(`**${part}**:`);
});

test("links within docs/operations.md lead to a heading", () => {
  const headings = [...operations.matchAll(/^##? (.+)$/gm)].map(([, title = ""]) =>
    title.toLowerCase().replaceAll(" ", "-"),
  );
  const links = [...operations.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);

  expect(links.length).toBeGreaterThan(12);
  expect(links.filter((anchor) => !headings.includes(anchor ?? ""))).toEqual([]);
});

test("the runbook has no section of an alarm that there is not", () => {
  const sections = [...operations.matchAll(/^## (Fanmail\w+)$/gm)].map(([, name]) => name);

  expect(sections.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
});

test("commands of fanmail that docs/operations.md names are there", async () => {
  const { stdout } = await run(["--help"]);
  const known = [...stdout.matchAll(/^ +([a-z][a-z-]+) /gm)].map(([, name]) => name);
  const inText = [...operations.matchAll(/`fanmail ([a-z-]+)/g)].map(([, name]) => name);
  const inContainers = [...operations.matchAll(/run --rm (?:migrate|worker) ([a-z-]+)/g)].map(
    ([, name]) => name,
  );

  expect(inContainers.length).toBeGreaterThan(2);
  expect([...inText, ...inContainers].filter((name) => !known.includes(name))).toEqual([]);
});

describe("a running service", () => {
  let database: TestDatabase;
  let service: TestService;
  let metrics: string;

  beforeAll(async () => {
    database = await testDatabase();
    service = await startTestService({ databaseUrl: database.url });
    await service.ingest(service.signer.notification(asMessage(sesEvent("Send"))));
    await service.ingest("no message of SNS");
    await service.get("/v1/activity");
    metrics = await (await fetch(`${service.url}/metrics`)).text();
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  /** Of Prometheus itself. */
  const synthetic = ["up"];

  function givenNames(): Set<string> {
    const types = [...metrics.matchAll(/^# TYPE (\w+) (\w+)$/gm)];
    const names = types.flatMap(([, name = "", type]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name],
    );
    return new Set([...synthetic, ...names]);
  }

  test.each(rules)("gives what $alert looks at", ({ expr }) => {
    const names = metricsOf(expr);

    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !givenNames().has(name))).toEqual([]);
  });

  test("gives what the dashboard shows", () => {
    const exprs = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const names = new Set(exprs.flatMap(metricsOf));

    expect(names.size).toBeGreaterThan(25);
    expect([...names].filter((name) => !givenNames().has(name))).toEqual([]);
  });

  test("is watched in all that it gives of its own", () => {
    const exprs = [...rules, ...dashboard.panels.flatMap(({ targets }) => targets)].map(({ expr }) => expr);
    const watched = new Set(exprs.flatMap(metricsOf).map((name) => name.replace(/_(bucket|sum|count)$/, "")));
    const own = [...metrics.matchAll(/^# TYPE (fanmail_\w+) /gm)].map(([, name = ""]) => name);

    expect(own.filter((name) => !watched.has(name))).toEqual([]);
  });

  test("gives the labels by which alarms and dashboard choose", () => {
    const added = ["job", "instance"];
    const given = new Map<string, Set<string>>();
    for (const [, name = "", labels = ""] of metrics.matchAll(/^(\w+)\{(.*)\} /gm)) {
      const known = given.get(name) ?? new Set(added);
      for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label);
      given.set(name, known);
    }
    const exprs = [...rules, ...dashboard.panels.flatMap(({ targets }) => targets)].map(({ expr }) => expr);
    const used = new Set(exprs.flatMap(labelsOf));

    const unknown = [...used].filter((pair) => {
      const [name = "", label = ""] = pair.split(" ");
      return !(given.get(name) ?? new Set(added)).has(label);
    });

    expect(unknown).toEqual([]);
  });

  test("has the tables and columns that docs/operations.md asks", async () => {
    const questions = [...operations.matchAll(/```sql\n([^`]*)```/g)].map(([, sql = ""]) => sql);

    expect(questions.length).toBeGreaterThan(7);
    for (const sql of questions) {
      // Some of them change the role, and take it back; an index is made concurrently outside of a transaction alone.
      if (!sql.includes("concurrently")) await database.db.query(`begin; ${sql}; rollback`);
      else for (const statement of sql.split(";\n")) await database.db.query(statement);
    }
  });
});
