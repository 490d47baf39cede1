import { afterEach, beforeEach, expect, test } from "vitest";
import { openRelay, type Relay } from "../../chaos/stage/relay.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

/*
 * A database that is there, and of no use: answers are 503, and the service goes on when it is well again.
 */

let database: TestDatabase;
let relay: Relay;
let service: TestService;

beforeEach(async () => {
  database = await testDatabase();
  const url = new URL(database.url);
  relay = await openRelay(Number(url.port));
  url.port = String(relay.port);
  service = await startTestService({ databaseUrl: url.href, roles: { receiver: true, workers: false } });
});
afterEach(async () => {
  relay.heal();
  await service.close();
  await relay.close();
  await database.drop();
});

const track = () => service.request("POST", "/v1/events", { body: { email: "a@example.com", event: "x" } });
const suppress = () => service.request("POST", "/v1/suppressions", { body: { email: "a@example.com" } });
const forget = () => service.request("DELETE", "/v1/recipients/a@example.com");
const ingest = () =>
  service.ingest(service.signer.notification(asMessage(sesEvent("Send", { messageId: "m" }))));
const ready = async () => {
  const answer = await service.get("/readyz", null);
  return [answer.status, (await answer.json()).status];
};
const isReady = async () => (await ready())[0] === 200;

async function setReadOnly(isReadOnly: boolean): Promise<void> {
  const name = new URL(database.url).pathname.slice(1);
  await database.db.query(`alter database ${name} set default_transaction_read_only = ${isReadOnly}`);
}

test("read-only after a failover: readers are served, writers get 503 with Retry-After", async () => {
  await setReadOnly(true);
  await database.db.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await until("it is noticed", async () => !(await isReady()));

  expect(await ready()).toEqual([503, "the database is read-only"]);
  for (const write of [track, suppress, forget, ingest]) {
    const answer = await write();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  }
  expect((await service.get("/v1/activity")).status).toBe(200);

  // The connections are not ended this time: the service replaces those that are read-only.
  await setReadOnly(false);
  await until("it is ready again", isReady);
  expect((await track()).status).toBe(201);
});

test("frozen: open connections are given up, and replaced when it thaws", async () => {
  expect((await track()).status).toBe(201);
  relay.silence("both ways");

  const answers = await Promise.all([track(), suppress(), ingest(), service.get("/v1/activity")]);

  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
  expect(await ready()).toEqual([503, "the database cannot be reached"]);
  relay.heal();
  await until("it is ready again", isReady);
  expect((await track()).status).toBe(201);
});

test("connections of which only this end is left are given up, while the server answers on new ones", async () => {
  expect((await Promise.all([track(), ingest(), track()])).map(({ status }) => status)).toEqual([
    201, 200, 201,
  ]);
  relay.loseFarEnds();

  // One request takes a connection that has been lost; a second one may open another, and succeed.
  expect((await track()).status).toBe(503);

  const after = await Promise.all([track(), track(), track(), ingest(), suppress()]);
  expect(after.map(({ status }) => status)).toEqual([201, 201, 201, 200, 201]);
});

test("a statement that is slow on a server that answers is waited for", async () => {
  const { db } = service.context;
  const [slow] = await db.transaction((tx) => tx.query("select pg_sleep(6) is not null as done"));
  expect(slow).toEqual({ done: true });
});
