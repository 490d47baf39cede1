import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { seededRandom } from "../../bench/corpus/random.ts";
import { startServer } from "../../src/http/api-server.ts";
import type { HttpServer } from "../../src/http/server.ts";
import type { Logger } from "../../src/logger.ts";
import { Intake } from "../../src/receive/intake.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { addEndpoint } from "../../src/webhooks/endpoints.ts";
import { createApplier } from "../../workers/apply-waiting.ts";
import { counted, readMetrics } from "../observability/read-metrics.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { atLength } from "../support/length.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { type SnsSigner, snsSigner } from "../support/sns-signer.ts";
import { acceptedOnly } from "./mutations/accepted.ts";
import { mutatedPosts, mutationNames } from "./mutations/mutated-posts.ts";
import { openWire, type Wire } from "./mutations/wire.ts";

/*
 * Genuine messages with mutations, posted to the real receiver: only what was signed gets into the journal, and workers
 * apply or quarantine all of it.
 */

/** MUTATED_MESSAGES=210000 takes four to seven minutes. */
const posts = Number(process.env["MUTATED_MESSAGES"] ?? atLength(3_000, 30_000));
/** The same in every short run; a long one explores. */
const seed = atLength(1, Date.now() % 2 ** 31);
const mutations = mutationNames(atLength("usual", "all"));
const postsBetweenChecks = 1_000;
const connections = 32;

const rawToken = "r".repeat(32);
let directory: string;
let database: TestDatabase;
let service: TestService;
let aws: AwsStub;
let signers: { ours: SnsSigner; stranger: SnsSigner };
let intake: Intake;
let front: HttpServer;
const lines: { level: string; message: string }[] = [];

const write = (level: string) => (fields: object, message: string) =>
  void lines.push({ level, message, ...fields });
const log: Logger = {
  error: write("error"),
  warn: write("warn"),
  info: write("info"),
  debug: () => {},
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-mutations-"));
  signers = { ours: await snsSigner(directory), stranger: await snsSigner(directory) };
  // AWS confirms subscriptions, and has no certificate of another name.
  aws = await awsStub((url, response) =>
    response.writeHead(url.includes("Action=ConfirmSubscription") ? 200 : 404).end(),
  );
  database = await testDatabase();
  service = await startTestService({
    databaseUrl: database.url,
    signer: signers.ours,
    roles: { receiver: true, workers: false },
    environment: { SNS_RAW_TOKEN: rawToken },
    context: { awsDispatcher: aws.dispatcher },
  });
  // Workers write webhooks too.
  await addEndpoint(service.context, defaultProjectId, "http://127.0.0.1:9/hook");
  const context = { ...service.context, log };
  intake = new Intake(context);
  front = await startServer(context, intake);
});
afterAll(async () => {
  await front?.close();
  await intake?.close();
  await service?.close();
  await aws?.close();
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

type Row = { sns_message_id: string; body: string };

async function applyAll(): Promise<void> {
  const applier = createApplier({ ...service.context, log }, new AbortController().signal);
  const [oldest] = await database.db.query<{ id: string }>(
    "select id from batches where applied_at is null order by id limit 1",
  );
  if (oldest) await applier({ batchId: oldest.id });
}

/** @returns what should not be in the log: errors, among them batches that cannot be applied, and addresses. */
const wrongLines = () => lines.filter((line) => line.level === "error" || JSON.stringify(line).includes("@"));

test("of mutated messages only signed ones are stored, nothing fails, and workers leave no batch behind", async () => {
  const source = mutatedPosts(signers, rawToken, seededRandom(seed));
  const accepted = acceptedOnly(source.wasSigned);
  const tried = new Set<string>();
  const outcomes = new Set<string>();
  const wires = Array.from({ length: connections }, () => openWire(front.url));

  for (let made = 0; made < posts; made += postsBetweenChecks) {
    const waiting = Array.from({ length: postsBetweenChecks }, () => source.next());
    const sendAll = async (wire: Wire) => {
      for (let post = waiting.pop(); post; post = waiting.pop()) {
        const answer = await wire.send(post.request);
        accepted.answered(post, answer);
        for (const name of post.names) tried.add(name);
        outcomes.add(`${post.effect} ${answer?.status ?? "closed"}`);
      }
    };
    await Promise.all(wires.map(sendAll));
    const rows = await database.db.query<Row>(
      `select sns_message_id, body from notifications
       where batch_id in (select id from batches where applied_at is null)`,
    );
    expect(accepted.wrongWith(rows), `seed ${seed}`).toEqual([]);
    await applyAll();
    expect(wrongLines(), `seed ${seed}`).toEqual([]);
  }
  for (const wire of wires) wire.close();

  const [totals] = await database.db.query<Record<string, number>>(
    `select sum(notification_count)::integer as stored, (select count(*)::integer from notifications) as in_journal,
       count(*) filter (where applied_at is null or attempts <> 1)::integer as not_applied_at_once,
       sum(event_count)::integer as events, sum(quarantined_count)::integer as quarantined
     from batches`,
  );
  const stored = accepted.stored();
  expect(totals).toMatchObject({ not_applied_at_once: 0, stored, in_journal: stored });
  expect(totals?.["events"]).toBeGreaterThan(stored / 3);
  expect(totals?.["quarantined"]).toBeGreaterThan(stored / 50);
  const unforeseen = await database.db.query(
    `select quarantine_reason, body from notifications
     where quarantine_reason like 'It cannot be interpreted%' or quarantine_reason like 'The database cannot store%'`,
  );
  expect(unforeseen, `seed ${seed}`).toEqual([]);
  expect(counted(await readMetrics(front.url), "fanmail_notifications_unavailable_total")).toEqual({});
  for (const path of ["/v1/activity", "/api/v1/sends", "/emailit/v1/events", "/v1/suppressions"]) {
    expect([path, (await service.get(path)).status]).toEqual([path, 200]);
  }
  // The posts got to where they should.
  expect(mutations.filter((name) => !tried.has(name))).toEqual([]);
  expect([...outcomes]).toEqual(expect.arrayContaining(["harmless 200", "open 200", "unverified 503"]));
  expect([...outcomes]).toEqual(expect.arrayContaining(["fatal 400", "fatal 403", "fatal 404", "fatal 431"]));
}, 900_000);
