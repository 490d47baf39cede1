import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { tablesOf } from "./loose-tables.ts";
import { statementsOf } from "./statements-in-code.ts";

/*
 * Every statement on tables with a project_id must name its project, so that no project sees or changes another's rows;
 * of tables that are joined, one may get it from another.
 */

/** Functions with a statement that is meant for several projects, and why. */
const exceptions: Readonly<Record<string, string>> = {
  // A key, ARN or id is what the project follows from.
  findApiKeys: "a request has only the hash of its key",
  revokeApiKey: "an operator names a key, whose prefix is unique",
  deleteTopic: "an ARN belongs to one project",
  countKnown: "notifications are found by their topic's ARN",
  writeHearing: "rows are those that listHeardTopics has read, by their unique ids",
  findEndpointAnywhere: "an operator names an endpoint by its id",
  recordStep: "a rebuild has an id of its own, and may be of all projects",
  // Workers serve all projects; what they take says which project it is of.
  loadBatches: "a batch holds the notifications of several projects",
  takeErasure: "the erasure that has been open for longest",
  takeRedelivery: "the redelivery that has waited for longest",
  releaseExpiredLeases: "the sweep frees the deliveries of processes that died",
  restingEndpoints: "the sweep looks for endpoints that are not posted to",
  endpointsDue: "the sweep looks for endpoints to wake",
  forgetDeletedEndpoints: "the sweep removes endpoints that were deleted a day ago",
  deleteDiscards: "retention removes what has expired",
  deleteRedeliveries: "retention removes what has expired",
  takeKey: "removes expired keys beside the one that is asked for",
  // Operators look at the whole service, or name a project.
  listApiKeys: "fanmail keys list",
  listTopics: "the receiver's allow-list, and fanmail topics list",
  listHeardTopics: "the watch over silent topics",
  listEndpoints: "fanmail endpoints list; everybody else names projects",
  latestStatuses: "fanmail doctor; the API names its project",
  walkJournal: "a rebuild or capture of all projects; erasure names its project",
  countOpenErasures: "a rebuild of all projects",
  activitiesAfter: "a rebuild of all projects",
  findInterrupted: "a rebuild may be of all projects",
  endRebuilds: "rebuilds that nobody goes on with",
  readJournalDay: "fanmail capture; it may name a project",
  underOtherKeys: "fanmail rotate-encryption-key",
  countSealed: "fanmail rotate-encryption-key",
  openErasure: "ends rebuilds of all projects too, which have read what is being erased",
  laneTotals: "metrics of the process",
  endpointTotals: "metrics of the process",
  isUnused: "fanmail doctor",
  quarantinedSince: "fanmail doctor",
  lanesBehind: "fanmail doctor",
  disabledEndpoints: "fanmail doctor",
  sealedInUse: "fanmail doctor",
};

/** Constants and functions that hold a part of statements, which are checked as a whole where it is used. */
const parts = ["ofProject", "ofTenants", "ofDeliveries", "withRecipients"];

const root = new URL("../../", import.meta.url).pathname;
const schema = readFileSync(`${root}migrations/schema.sql`, "utf8");
const allTables = [...schema.matchAll(/^create table (\w+) \(([^;]*)/gim)].map(
  ([, name = "", columns = ""]) => ({
    name,
    isOfProjects: /^\s+project_id /m.test(columns),
  }),
);
const tables = allTables.filter(({ isOfProjects }) => isOfProjects).map(({ name }) => name);

/** Statements with such tables, and what is wrong with them. */
function checked(file: string, code: string) {
  return statementsOf(file, code).flatMap((statement) => {
    const whole = `${statement.sql}\n${statement.parts}`;
    if (tablesOf({ ...statement, sql: whole }, tables).length === 0) return [];
    const scopes = tablesOf(statement, tables);
    const areLimited = scopes.every(({ loose, isAnchored }) => loose.length === 0 && isAnchored);
    // Where code puts in the tables, it puts in the condition as well.
    const isLimitedByCode = scopes.length > 0 || /(?<!is null or )\bproject_id = (\?|\$\d)/.test(whole);
    return {
      file,
      name: statement.name,
      tables: scopes.flatMap(({ uses }) => uses),
      isOfOneProject: areLimited && isLimitedByCode,
      /** Joined to another table of projects, but not by the project. */
      joinedLoosely: scopes.flatMap(({ uses, loose }) => (uses.length > 1 ? loose : [])),
    };
  });
}

const files = ["src", "workers"].flatMap((folder) =>
  readdirSync(root + folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${folder}/${name}`),
);
const statements = files.flatMap((file) => checked(file, readFileSync(root + file, "utf8")));

test("every statement on a table of projects names its project, but for those that are meant for all", () => {
  const unlimited = statements.filter(({ isOfOneProject }) => !isOfOneProject).map(({ name }) => name);

  expect([...new Set(unlimited)].sort()).toEqual([...Object.keys(exceptions), ...parts].sort());
});

test("tables of projects are joined by the project, also where a statement is meant for all", () => {
  expect(statements.filter(({ joinedLoosely }) => joinedLoosely.length > 0)).toEqual([]);
});

test("statements are found in every room with SQL, and on every table of projects", () => {
  const rooms = new Set(statements.map(({ file }) => file.split("/").slice(0, 2).join("/")));

  expect(statements.length).toBeGreaterThan(140);
  expect([...rooms].sort()).toEqual([
    ...["src/erasure", "src/events", "src/http", "src/storage", "src/tools", "workers/retention.sql.ts"],
  ]);
  const found = statements.flatMap((statement) => statement.tables);
  expect([...new Set(found)].filter((name) => !name.startsWith("$")).sort()).toEqual(tables.sort());
  // A new table is of projects, or stands here.
  expect(allTables.filter(({ isOfProjects }) => !isOfProjects).map(({ name }) => name)).toEqual([
    ...["batches", "journal_drops", "migrations", "projects", "request_windows", "retention_passes"],
  ]);
});

const right = [
  "select id from activity where project_id = $1 and id = $2",
  "select 1 from deliveries d join attempts a on a.project_id = d.project_id and a.delivery_id = d.id where d.project_id = $1",
  "delete from attempts using deliveries where attempts.project_id = $1 and deliveries.project_id = attempts.project_id",
  "select 1 from activity join unnest($1::uuid[], $2::uuid[]) as rows(project_id, id) using (project_id, id)",
];
const wrong = [
  "select id from activity where id = $1",
  "SELECT id FROM activity WHERE id = $1",
  "update events set detail = $2 where id = $1",
  "delete from orders where order_id = $1",
  "select id from activity where $1::uuid is null or project_id = $1",
  "select id from activity order by project_id",
  "select 1 from deliveries d join attempts a on a.delivery_id = d.id where d.project_id = $1",
  "select 1 from deliveries join attempts using (delivery_id) where deliveries.project_id = $1",
  "select 1 from deliveries d, attempts a where a.delivery_id = d.id and d.project_id = $1",
  "delete from attempts using deliveries where attempts.project_id = $1 and deliveries.id = delivery_id",
  "update deliveries set state = 'held' from replays where deliveries.project_id = $1 and replays.id = $2",
  "select 1 from activity where project_id = $1 and exists (select from events where owner_id = activity.id)",
  "select id from activity where project_id = $1 union all select id from recipients where address = $2",
  "with found as (select id from recipients where address = $2) select 1 from activity where project_id = $1",
  "declare found cursor for select body from notifications where sns_timestamp > $1",
  `select id from \${table} where id = $1`,
  "insert into orders (project_id, order_id) select $1, message_id from activity where id = $2",
];
/** Conditions and columns with a query inside. */
const wrongParts = [
  "owner_id = (select id from recipients where address = ?)",
  "exists (select from suppressions where suppressions.address = activity.recipient) as is_suppressed",
];
const holders: Record<string, (sql: string) => string> = {
  "a function": (sql) => `function found(db) { return db.query(\`${sql}\`); }`,
  "an arrow function": (sql) => `export const found = async (db) => db.query(\`${sql}\`, []);`,
  "a constant": (sql) => `const found = \`${sql}\`; export function other(db) { return db.query(found); }`,
  "a method": (sql) => `class found { find(db) { return db.query(\`${sql}\`); } }`,
  "a template": (sql) =>
    `const column = "id"; function found(db) { return db.query(\`${sql} and \${column} > 0\`); }`,
};

test.for(Object.keys(holders))("a statement in %s is reported if it lacks a project", (kind) => {
  const reported = (sql: string) => {
    const found = checked("found.ts", holders[kind]?.(sql) ?? "").find(({ name }) => name === "found");
    return found === undefined ? "not found" : found.isOfOneProject ? "right" : "wrong";
  };

  expect(right.map((sql) => [sql, reported(sql)])).toEqual(right.map((sql) => [sql, "right"]));
  const allWrong = [...wrong, ...wrongParts];
  expect(allWrong.map((sql) => [sql, reported(sql)])).toEqual(allWrong.map((sql) => [sql, "wrong"]));
});
