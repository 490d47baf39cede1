import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { begin, closedPort, destination, later, sql, testFaults, world } from "./faults.ts";
import { topic } from "./healthy-world.ts";

testFaults([
  {
    code: "schema-behind",
    fault: "the schema is behind",
    writes: true,
    async make() {
      await sql("alter table topics drop column last_notification_at");
      await sql("delete from migrations where name = (select max(name) from migrations)");
    },
    area: "database",
    what: /schema is behind by 1 migration: \d{4}_\w+\.sql\./,
    remedy: /fanmail migrate/,
  },
  {
    code: "schema-newer",
    fault: "the schema is of a newer version",
    writes: true,
    make: () => sql("insert into migrations (name) values ('9999_future.sql')"),
    area: "database",
    what: /newer version of fanmail: it has 9999_future\.sql/,
    remedy: /Run that version/,
  },
  {
    code: "database-away",
    fault: "the server is down",
    async make() {
      const url = new URL(world.database.url);
      url.port = String(await closedPort());
      world.configure({ DATABASE_URL: url.href });
      world.patient = { ...world.patient, database: { url: url.href } };
    },
    area: "database",
    what: /ECONNREFUSED/,
    remedy: /Start PostgreSQL/,
  },
  {
    code: "database-away",
    fault: "the database takes no connections",
    writes: true,
    async make() {
      await world.database.block();
      later(() => world.database.unblock());
    },
    area: "database",
    what: /cannot be used: .*not currently accepting connections/,
    remedy: /DATABASE_URL/,
  },
  {
    code: "database-login",
    fault: "the password is wrong",
    make() {
      const url = new URL(world.database.url);
      url.password = "wrong";
      world.patient = { ...world.patient, database: { url: url.href } };
    },
    area: "database",
    what: /password authentication failed/,
    remedy: /user and password in DATABASE_URL/,
  },
  {
    code: "server-read-only",
    fault: "the database is read-only",
    writes: true,
    make: () => sql(`alter database ${databaseName()} set default_transaction_read_only = on`),
    area: "database",
    what: /default_transaction_read_only is on, so nothing can be stored/,
    remedy: /DATABASE_URL lead to the primary/,
  },
  {
    code: "connections-too-few",
    fault: "too few connections are allowed",
    writes: true,
    make: () => sql(`alter database ${databaseName()} connection limit 9`),
    area: "database",
    what: /9 connections are allowed, and one process opens up to 28/,
    remedy: /max_connections/,
  },
  {
    code: "partitions-missing",
    fault: "today's partition of the journal is missing",
    writes: true,
    make: () => sql(`drop table ${todaysPartition()}`),
    area: "database",
    what: /Partitions are missing .*: notifications_\d{4}_\d\d_\d\d\./,
    remedy: /fanmail worker/,
  },
  {
    code: "tables-not-permitted",
    fault: "the role may not write",
    writes: true,
    make: () => asRole("grant select on all tables in schema public to"),
    area: "database",
    what: /Permission denied: .*batches: insert, update, delete.*topics: insert/,
    remedy: /grant select, insert, update, delete on all tables/,
  },
  {
    code: "partitions-not-permitted",
    fault: "the role cannot create partitions",
    writes: true,
    make: () => asRole("grant all on all tables in schema public to"),
    area: "database",
    what: /The role cannot create partitions/,
    remedy: /alter table notifications owner to/,
  },
  {
    code: "database-not-permitted",
    fault: "the role may not read the table of migrations",
    writes: true,
    make: () => asRole("grant usage on schema public to"),
    area: "database",
    what: /permission denied for table migrations/,
    remedy: /Grant the role of DATABASE_URL/,
  },
]);

test("doctor does not migrate a database that is behind, and skips what needs its tables", async () => {
  await begin(true);
  const names = () => sql("select name from migrations order by name");
  const all = await names();
  await sql("delete from migrations where name = (select max(name) from migrations)");

  const findings = await world.examine();

  expect(await names()).toEqual(all.slice(0, -1));
  const webhooksSeen = findings.filter(({ area }) => area === "webhooks").map(({ level }) => level);
  expect(new Set(webhooksSeen)).toEqual(new Set(["skipped"]));
});

test("AWS is checked even when the database is down", async () => {
  await begin(true);
  world.configure({ SNS_TOPIC_ARNS: topic });
  destination().Enabled = false;
  await world.database.block();
  later(() => world.database.unblock());

  const findings = await world.examine();

  const told = findings.filter(({ level }) => level === "fail").map(({ area }) => area);
  expect(told).toEqual(["database", "ses"]);
});

const databaseName = () => new URL(world.database.url).pathname.slice(1);
const todaysPartition = () => `notifications_${new Date().toISOString().slice(0, 10).replaceAll("-", "_")}`;

/** Connects as a role with nothing but a grant. */
async function asRole(grant: string): Promise<void> {
  const role = `doctor_${randomBytes(6).toString("hex")}`;
  await sql(`create role ${role} login password 'test'`);
  await sql(`${grant} ${role}`);
  later(async () => {
    await sql(`drop owned by ${role}`);
    await sql(`drop role ${role}`);
  });
  const url = new URL(world.database.url);
  Object.assign(url, { username: role, password: "test" });
  world.patient = { ...world.patient, database: { url: url.href } };
}
