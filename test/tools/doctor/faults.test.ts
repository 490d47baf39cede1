import { randomBytes, randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Agent, buildConnector } from "undici";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { insertStatuses } from "../../../src/storage/account-statuses.ts";
import { markApplied, quarantine, storeBatch } from "../../../src/storage/journal.ts";
import { partitionsOf } from "../../../src/storage/partitions.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { insertTopic, setSubscriptionState } from "../../../src/storage/topics.ts";
import type { Finding, Observation } from "../../../src/tools/doctor/check.ts";
import type { AwsStub } from "../../support/aws-stub.ts";
import { recommendation, sendingStatus } from "../../support/eventbridge.ts";
import { notification } from "../../support/notification.ts";
import {
  certificateHost,
  type Ground,
  healthyGround,
  healthyWorld,
  queueUrl,
  subscription,
  topic,
  type World,
} from "./patient.ts";

/*
 * Each fault is made in a system that is well, and doctor must name it with what mends it.
 */

type Fault = {
  fault: string;
  /** It writes to the database, and needs one of its own. */
  writes?: true;
  make: () => Promise<unknown> | unknown;
  area: Finding["area"];
  status: Observation["status"];
  what: RegExp;
  remedy: RegExp;
};

let shared: Ground;
let certificates: AwsStub;
let world: World;
const cleanUps: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [shared, certificates] = await Promise.all([healthyGround(), certificateHost()]);
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});
afterAll(async () => {
  await certificates.close();
  await shared.database.drop();
});

async function begin(writes: boolean): Promise<void> {
  const ground = writes ? await healthyGround() : shared;
  if (writes) cleanUps.push(() => ground.database.drop());
  world = await healthyWorld(ground, certificates);
  cleanUps.push(() => world.close());
}

const sql = (text: string, params: unknown[] = []) => world.database.db.query(text, params);
const ofTopic = () => world.aws.account.topics[topic]!;
const https = () => ofTopic().subscriptions[0]!;
const overQueue = () => ofTopic().subscriptions[1]!;
const mySet = () => world.aws.account.configurationSets["my-set"]!;
const destination = () => mySet().destinations[0]!;
const theQueue = () => world.aws.account.queues["fanmail"]!;

const configuration: Fault[] = [
  {
    fault: "nothing is allow-listed and no queue is configured",
    writes: true,
    async make() {
      await sql("delete from topics");
      world.configure({ SQS_QUEUE_URLS: "" });
    },
    area: "configuration",
    status: "fail",
    what: /No topic is allow-listed and no queue is configured/,
    remedy: /fanmail topics add/,
  },
  {
    fault: "the region is another than the topic's",
    make: () => world.configure({ AWS_REGION: "us-east-1" }),
    area: "configuration",
    status: "warn",
    what: /AWS_REGION is us-east-1, but the topic .*ses-events is in eu-west-1/,
    remedy: /AWS_REGION=eu-west-1/,
  },
  {
    fault: "locally signed messages are accepted",
    make: () => world.configure({ SNS_LOCAL_CERTS: "https://sns.eu-west-1.amazonaws.com/x.pem=/nowhere" }),
    area: "configuration",
    status: "warn",
    what: /SNS_LOCAL_CERTS is set/,
    remedy: /Unset SNS_LOCAL_CERTS/,
  },
  {
    fault: "it listens to this machine alone, and there is no queue",
    make: () => world.configure({ SQS_QUEUE_URLS: "" }),
    area: "configuration",
    status: "warn",
    what: /HOST is 127\.0\.0\.1/,
    remedy: /HOST=0\.0\.0\.0/,
  },
  {
    fault: "a key of the environment opens everything",
    make: () => world.configure({ BOOTSTRAP_API_KEY: `sk_proj_${"x".repeat(40)}` }),
    area: "configuration",
    status: "warn",
    what: /BOOTSTRAP_API_KEY is set/,
    remedy: /fanmail keys create --scopes/,
  },
  {
    fault: "all API keys are revoked",
    writes: true,
    make: () => sql("update api_keys set revoked_at = now()"),
    area: "configuration",
    status: "warn",
    what: /no valid API key/,
    remedy: /fanmail keys create/,
  },
];

const database: Fault[] = [
  {
    fault: "the schema is behind",
    writes: true,
    async make() {
      await sql("alter table topics drop column last_notification_at");
      await sql("delete from migrations where name = (select max(name) from migrations)");
    },
    area: "database",
    status: "fail",
    what: /schema is behind by 1 migration: \d{4}_\w+\.sql\./,
    remedy: /fanmail migrate/,
  },
  {
    fault: "the schema is of a newer version",
    writes: true,
    make: () => sql("insert into migrations (name) values ('9999_future.sql')"),
    area: "database",
    status: "fail",
    what: /newer version of fanmail: it has 9999_future\.sql/,
    remedy: /Run that version/,
  },
  {
    fault: "the server is away",
    async make() {
      const url = new URL(world.database.url);
      url.port = String(await closedPort());
      world.configure({ DATABASE_URL: url.href });
      world.patient = { ...world.patient, database: { url: url.href } };
    },
    area: "database",
    status: "fail",
    what: /ECONNREFUSED/,
    remedy: /Start PostgreSQL/,
  },
  {
    fault: "the database takes no connections",
    writes: true,
    async make() {
      await world.database.block();
      cleanUps.push(() => world.database.unblock());
    },
    area: "database",
    status: "fail",
    what: /cannot be used: .*not currently accepting connections/,
    remedy: /DATABASE_URL/,
  },
  {
    fault: "the password is wrong",
    make() {
      const url = new URL(world.database.url);
      url.password = "wrong";
      world.patient = { ...world.patient, database: { url: url.href } };
    },
    area: "database",
    status: "fail",
    what: /password authentication failed/,
    remedy: /user and password in DATABASE_URL/,
  },
  {
    fault: "a commit does not wait for the disk",
    writes: true,
    make: () => sql(`alter database ${databaseName()} set synchronous_commit = off`),
    area: "database",
    status: "warn",
    what: /synchronous_commit is off: what was answered 200 can be lost/,
    remedy: /alter system set synchronous_commit = on/,
  },
  {
    fault: "the database is for reading alone",
    writes: true,
    make: () => sql(`alter database ${databaseName()} set default_transaction_read_only = on`),
    area: "database",
    status: "fail",
    what: /default_transaction_read_only is on, so that nothing can be stored/,
    remedy: /DATABASE_URL lead to the primary/,
  },
  {
    fault: "too few connections are allowed",
    writes: true,
    make: () => sql(`alter database ${databaseName()} connection limit 9`),
    area: "database",
    status: "warn",
    what: /9 connections are allowed, and one process opens up to 28/,
    remedy: /max_connections/,
  },
  {
    fault: "today's partition of the journal is missing",
    writes: true,
    make: () => sql(`drop table ${todaysPartition()}`),
    area: "database",
    status: "warn",
    what: /Partitions are missing .*: notifications_\d{4}_\d\d_\d\d\./,
    remedy: /fanmail worker/,
  },
  {
    fault: "the role may not write",
    writes: true,
    make: () => asRole("grant select on all tables in schema public to"),
    area: "database",
    status: "fail",
    what: /Permission denied: .*batches: insert, update, delete.*topics: insert/,
    remedy: /grant select, insert, update, delete on all tables/,
  },
  {
    fault: "the role can make no partitions",
    writes: true,
    make: () => asRole("grant all on all tables in schema public to"),
    area: "database",
    status: "fail",
    what: /The role can make no partitions/,
    remedy: /alter table notifications owner to/,
  },
  {
    fault: "the role may not even read which migrations there are",
    writes: true,
    make: () => asRole("grant usage on schema public to"),
    area: "database",
    status: "fail",
    what: /permission denied for table migrations/,
    remedy: /Grant the role of DATABASE_URL/,
  },
];

const queues: Fault[] = [
  {
    fault: "BullMQ's tables are missing",
    writes: true,
    make: () => sql("drop schema bullmq cascade"),
    area: "queue",
    status: "fail",
    what: /BullMQ's tables .*are missing/,
    remedy: /fanmail migrate/,
  },
  {
    fault: "Redis is away",
    make: async () => world.configure({ REDIS_URL: `redis://:secret@127.0.0.1:${await closedPort()}` }),
    area: "queue",
    status: "fail",
    what: /Redis at 127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED/,
    remedy: /Start Redis/,
  },
  {
    fault: "no worker runs",
    writes: true,
    make: () => batch({ age: "5 minutes" }),
    area: "queue",
    status: "fail",
    what: /1 batch of notifications waited for more than a minute, the oldest for 5 minutes: no worker runs/,
    remedy: /Start fanmail worker/,
  },
  {
    fault: "workers are behind",
    writes: true,
    async make() {
      await batch({ age: "5 minutes" });
      await batch({ age: "6 minutes", appliedAt: new Date() });
    },
    area: "queue",
    status: "warn",
    what: /workers apply batches, but are behind/,
    remedy: /more of fanmail worker/,
  },
  {
    fault: "a batch cannot be applied",
    writes: true,
    make: () => batch({ age: "30 seconds", attempts: 6, lastError: "disk full" }),
    area: "journal",
    status: "fail",
    what: /1 batch cannot be applied, after up to 6 attempts: disk full/,
    remedy: /try again by themselves/,
  },
];

const clocks: Fault[] = [
  {
    fault: "our clock is ten minutes ahead",
    make() {
      const now = () => new Date(Date.now() + 600_000);
      world.patient = { ...world.patient, clock: { ...systemClock, now } };
    },
    area: "clock",
    status: "fail",
    what: /Our clock is (9|10) minutes ahead of the database's/,
    remedy: /timedatectl set-ntp true/,
  },
  {
    fault: "our clock is ten seconds behind that of AWS",
    make() {
      const now = () => new Date(Date.now() - 10_000);
      world.patient = { ...world.patient, clock: { ...systemClock, now } };
    },
    area: "clock",
    status: "warn",
    what: /Our clock is \d+ seconds behind that of sns\.eu-west-1\.amazonaws\.com/,
    remedy: /NTP/,
  },
];

const hosts: Fault[] = [
  {
    fault: "a firewall refuses what leads to the certificate",
    make: async () => through({ port: await closedPort() }),
    area: "certificate",
    status: "fail",
    what: /sns\.eu-west-1\.amazonaws\.com refuses or breaks off the connection .*ECONNREFUSED/,
    remedy: /outgoing TCP to port 443/,
  },
  {
    fault: "the name of the host is not found",
    make: () => through({ hostname: "sns.eu-west-1.invalid" }),
    area: "certificate",
    status: "fail",
    what: /is not found by DNS/,
    remedy: /name servers/,
  },
  {
    fault: "a proxy intercepts TLS",
    make: () => through({ port: world.certificates.port }),
    area: "certificate",
    status: "fail",
    what: /a TLS certificate that is not trusted/,
    remedy: /NODE_EXTRA_CA_CERTS/,
  },
  {
    fault: "what leads to the certificate is never answered",
    async make() {
      world.patient = { ...world.patient, timeoutMs: 1_500 };
      await through({ port: await silentPort() });
    },
    area: "certificate",
    status: "fail",
    what: /does not answer in time/,
    remedy: /NAT gateway/,
  },
];

const topics: Fault[] = [
  {
    fault: "the confirmation failed",
    writes: true,
    make: () => subscribed("confirmation_failed", "the answer was 403"),
    area: "topics",
    status: "fail",
    what: /ses-events \(eu-west-1\) could not be confirmed: the answer was 403/,
    remedy: /aws sns subscribe/,
  },
  {
    fault: "somebody has unsubscribed us",
    writes: true,
    make: () => subscribed("unsubscribed"),
    area: "topics",
    status: "fail",
    what: /Fanmail was unsubscribed from the topic ses-events/,
    remedy: /aws sns subscribe/,
  },
  {
    fault: "a topic was never heard",
    writes: true,
    make: () =>
      insertTopic(world.database.db, { project_id: defaultProjectId, id: randomUUID(), arn: `${topic}-2` }),
    area: "topics",
    status: "warn",
    what: /ses-events-2 \(eu-west-1\) has not asked for a confirmation, and nothing has come/,
    remedy: /fanmail ses connect/,
  },
  {
    fault: "a topic has fallen silent",
    writes: true,
    make: () =>
      sql("update topics set last_notification_at = now() - interval '3 days', usual_gap_seconds = 3600"),
    area: "topics",
    status: "warn",
    what: /ses-events \(eu-west-1\) is silent: the last notification came 3 days ago/,
    remedy: /still send/,
  },
  {
    fault: "the topic does not exist",
    make() {
      world.aws.account.topics = {};
    },
    area: "topics",
    status: "fail",
    what: /no such thing as the topic ses-events/,
    remedy: /name, account and region/,
  },
  {
    fault: "we may not look at the topic",
    make: () => world.aws.account.denied.push("sns:GetTopicAttributes"),
    area: "topics",
    status: "warn",
    what: /AWS denies access to the topic ses-events \(eu-west-1\) \(sns:GetTopicAttributes\)/,
    remedy: /Allow sns:GetTopicAttributes/,
  },
  {
    fault: "the topic lets SES of another account publish",
    make() {
      const { attributes } = ofTopic();
      attributes["Policy"] = attributes["Policy"]!.replace(
        '"AWS:SourceAccount":"123456789012"',
        '"AWS:SourceAccount":"999999999999"',
      );
    },
    area: "topics",
    status: "fail",
    what: /policy of the topic ses-events .* does not let SES publish/,
    remedy: /ses\.amazonaws\.com the action sns:Publish/,
  },
  {
    fault: "the topic is encrypted with a key that SES may not use",
    make() {
      ofTopic().attributes["KmsMasterKeyId"] = "alias/aws/sns";
    },
    area: "topics",
    status: "fail",
    what: /encrypted with alias\/aws\/sns/,
    remedy: /kms:GenerateDataKey/,
  },
  {
    fault: "no subscription leads here",
    make() {
      ofTopic().subscriptions = [{ ...https(), endpoint: "https://other.example.com/hook" }];
    },
    area: "topics",
    status: "fail",
    what: /No subscription .* leads to Fanmail; its subscriptions lead elsewhere: https other\.example\.com/,
    remedy: /fanmail ses connect/,
  },
  {
    fault: "the subscription waits for its confirmation",
    make() {
      https().arn = null;
    },
    area: "topics",
    status: "fail",
    what: /https fanmail\.example\.com to ses-events .* waits for its confirmation/,
    remedy: /aws sns subscribe once more/,
  },
  {
    fault: "raw delivery is on, and there is no token",
    make() {
      https().attributes["RawMessageDelivery"] = "true";
    },
    area: "topics",
    status: "fail",
    what: /raw message delivery on, and SNS_RAW_TOKEN is not set/,
    remedy: new RegExp(`--subscription-arn ${subscription} --attribute-name RawMessageDelivery`),
  },
  {
    fault: "raw delivery has another token",
    make() {
      https().attributes["RawMessageDelivery"] = "true";
      https().endpoint += `/raw/${"b".repeat(32)}`;
      world.configure({ SNS_RAW_TOKEN: "a".repeat(32) });
    },
    area: "topics",
    status: "fail",
    what: /its address does not hold the SNS_RAW_TOKEN of here/,
    remedy: /RawMessageDelivery/,
  },
  {
    fault: "raw delivery to the queue",
    make() {
      overQueue().attributes["RawMessageDelivery"] = "true";
    },
    area: "topics",
    status: "warn",
    what: /sqs fanmail .* raw message delivery on: messages carry no signature/,
    remedy: /RawMessageDelivery/,
  },
  {
    fault: "a filter policy",
    make() {
      https().attributes["FilterPolicy"] = '{"eventType":["Bounce"]}';
    },
    area: "topics",
    status: "warn",
    what: /has a filter policy, so that some events never come/,
    remedy: /--attribute-name FilterPolicy/,
  },
  {
    fault: "SNS has nowhere to put what it cannot deliver",
    make() {
      delete https().attributes["RedrivePolicy"];
    },
    area: "topics",
    status: "warn",
    what: /has no dead-letter queue/,
    remedy: /RedrivePolicy/,
  },
];

const ses: Fault[] = [
  {
    fault: "the event destination is disabled",
    make() {
      destination().Enabled = false;
    },
    area: "ses",
    status: "fail",
    what: /event destination fanmail of the configuration set my-set is disabled/,
    remedy: /fanmail ses connect --configuration-set my-set/,
  },
  {
    fault: "the event destination leaves events out",
    make() {
      destination().MatchingEventTypes = destination().MatchingEventTypes.filter(
        (type) => !/OPEN|BOUNCE/.test(type),
      );
    },
    area: "ses",
    status: "warn",
    what: /leaves out BOUNCE, OPEN, so that these never come/,
    remedy: /MatchingEventTypes/,
  },
  {
    fault: "no configuration set publishes to our topic, and nothing was heard",
    writes: true,
    async make() {
      mySet().destinations = [];
      await sql("update topics set last_notification_at = null");
    },
    area: "ses",
    status: "fail",
    what: /No configuration set in eu-west-1 publishes to a topic that is allow-listed/,
    remedy: /fanmail ses connect/,
  },
  {
    fault: "the configuration set that is named does not exist",
    make() {
      world.patient = { ...world.patient, configurationSet: "other" };
    },
    area: "ses",
    status: "fail",
    what: /no such thing as the configuration set other/,
    remedy: /name, account and region/,
  },
  {
    fault: "the account is in the sandbox",
    make() {
      world.aws.account.account.ProductionAccessEnabled = false;
    },
    area: "ses",
    status: "warn",
    what: /in the sandbox in eu-west-1/,
    remedy: /production access/,
  },
  {
    fault: "a global endpoint sends from a region without a topic",
    make() {
      world.aws.account.globalEndpoints = [
        { EndpointName: "both", Status: "READY", Regions: ["eu-west-1", "us-east-1"] },
        { EndpointName: "gone", Status: "DELETING", Regions: ["eu-west-1", "us-west-2"] },
      ];
    },
    area: "ses",
    status: "fail",
    what: /^The global endpoint both sends from eu-west-1 and us-east-1, and no topic in us-east-1 is allow-listed/,
    remedy: /ses connect --regions eu-west-1,us-east-1/,
  },
  {
    fault: "global endpoints may not be read",
    make: () => world.aws.account.denied.push("ses:ListMultiRegionEndpoints"),
    area: "ses",
    status: "warn",
    what: /denies access to global endpoints in eu-west-1/,
    remedy: /ses:ListMultiRegionEndpoints/,
  },
  {
    fault: "sending is paused",
    make() {
      world.aws.account.account.SendingEnabled = false;
      mySet().isSending = false;
    },
    area: "ses",
    status: "warn",
    what: /Sending is paused for the SES account in eu-west-1/,
    remedy: /put-account-sending-attributes/,
  },
];

const reach: Fault[] = [
  {
    fault: "SES answers too slowly to look through all",
    make() {
      world.aws.account.configurationSets["another"] = { isSending: true, destinations: [] };
      world.aws.account.unanswered.push("ses:GetConfigurationSetEventDestinations another");
      world.patient = { ...world.patient, timeoutMs: 3_000 };
    },
    area: "ses",
    status: "warn",
    what: /In the time given, 1 of 2 configuration sets in eu-west-1 were looked at/,
    remedy: /--configuration-set <name>/,
  },
  {
    fault: "SNS never answers",
    make() {
      world.aws.account.unanswered.push("sns:GetTopicAttributes");
      world.patient = { ...world.patient, timeoutMs: 3_000 };
    },
    area: "topics",
    status: "fail",
    what: /AWS could not be reached to look at the topic ses-events \(eu-west-1\): no answer in time/,
    remedy: /network/,
  },
  {
    fault: "AWS cannot be reached",
    make: async () => world.configure({ AWS_ENDPOINT_URL: `http://127.0.0.1:${await closedPort()}` }),
    area: "ses",
    status: "fail",
    what: /AWS could not be reached to look at the SES account in eu-west-1: .*ECONNREFUSED/,
    remedy: /network/,
  },
];

const sqs: Fault[] = [
  {
    fault: "the queue does not exist",
    make() {
      world.aws.account.queues = {};
    },
    area: "sqs",
    status: "fail",
    what: /no such thing as the queue fanmail \(eu-west-1\): SQS in eu-west-1 does not know it/,
    remedy: /SQS_QUEUE_URLS/,
  },
  {
    fault: "the queue is in another region",
    make: () => world.configure({ SQS_QUEUE_URLS: queueUrl.replace("eu-west-1", "us-east-1") }),
    area: "configuration",
    status: "warn",
    what: /but the queue https:\/\/sqs\.us-east-1\.amazonaws\.com\/123456789012\/fanmail is in us-east-1/,
    remedy: /AWS_REGION=us-east-1/,
  },
  {
    fault: "we may not look at the queue",
    make: () => world.aws.account.denied.push("sqs:GetQueueAttributes"),
    area: "sqs",
    status: "warn",
    what: /AWS denies access to the queue fanmail \(eu-west-1\) \(sqs:GetQueueAttributes\)/,
    remedy: /Allow sqs:GetQueueAttributes/,
  },
  {
    fault: "there are dead letters",
    make() {
      world.aws.account.queues["fanmail-dead"]!["ApproximateNumberOfMessages"] = "3";
    },
    area: "sqs",
    status: "warn",
    what: /3 messages are in the dead-letter queue of the queue fanmail/,
    remedy: /aws sqs start-message-move-task --source-arn arn:aws:sqs:eu-west-1:123456789012:fanmail-dead/,
  },
  {
    fault: "there is no dead-letter queue",
    make() {
      delete theQueue()["RedrivePolicy"];
    },
    area: "sqs",
    status: "warn",
    what: /The queue fanmail .* has no dead-letter queue/,
    remedy: /aws sqs set-queue-attributes/,
  },
  {
    fault: "the queue lets no topic of ours send",
    make() {
      theQueue()["Policy"] = theQueue()["Policy"]!.replace(topic, `${topic}-other`);
    },
    area: "sqs",
    status: "fail",
    what: /policy of the queue fanmail .* lets none of the topics/,
    remedy: /sqs:SendMessage/,
  },
  {
    fault: "the queue forgets after a day",
    make() {
      theQueue()["MessageRetentionPeriod"] = "86400";
    },
    area: "sqs",
    status: "warn",
    what: /keeps messages for 24 hours only/,
    remedy: /MessageRetentionPeriod=1209600/,
  },
  {
    fault: "nobody takes from the queue",
    make() {
      theQueue()["ApproximateNumberOfMessages"] = "5000";
    },
    area: "sqs",
    status: "warn",
    what: /The queue fanmail .* has 5,000 messages waiting/,
    remedy: /fanmail worker/,
  },
];

const accounts: Fault[] = [
  {
    fault: "SES has disabled sending of the account",
    writes: true,
    make: () => said(sendingStatus("Disabled", { resources: [] })),
    area: "ses",
    status: "fail",
    what: /sending disabled for account 123456789012 in us-east-1 since 2026-11-20T10:00:07\.000Z: High bounce rate\.$/,
    remedy: /console of SES in us-east-1/,
  },
  {
    fault: "SES has disabled sending of a tenant, after it was enabled, which is reported later",
    writes: true,
    make: () => said(sendingStatus("Disabled"), sendingStatus("Enabled", { time: "2026-11-20T10:00:06Z" })),
    area: "ses",
    status: "warn",
    what: /sending disabled for the tenant acme of account 123456789012/,
    remedy: /Tenants/,
  },
  {
    fault: "a recommendation is open, while another one is resolved",
    writes: true,
    make: () =>
      said(
        recommendation("Open"),
        recommendation("Open", { detail: { data: "DKIM is missing.", metadata: { type: "DKIM" } } }),
        recommendation("Resolved", {
          time: "2026-11-21T10:00:00Z",
          detail: { data: "Well.", metadata: { type: "DKIM", impact: "LOW" } },
        }),
      ),
    area: "ses",
    status: "warn",
    what: /^Amazon SES has an open HIGH BOUNCE recommendation for arn:aws:ses:us-east-1:123456789012:identity\/example\.com/,
    remedy: /Virtual Deliverability Manager/,
  },
];

const journal: Fault[] = [
  {
    fault: "notifications are in quarantine",
    writes: true,
    async make() {
      const { db } = world.database;
      const [one, two] = [
        notification({ sns_timestamp: new Date() }),
        notification({ sns_timestamp: new Date() }),
      ];
      const ids = [systemClock.newId(), systemClock.newId()];
      for (const [index, row] of [one, two].entries()) {
        await storeBatch(db, partitionsOf(db), ids[index]!, [row]);
        await quarantine(db, [{ ...row, quarantine_reason: "bounce.timestamp is not a time" }]);
      }
      await markApplied(db, ids, { events: 0, repeated: 0, discarded: 0, ignored: 0, quarantined: 2 });
    },
    area: "journal",
    status: "warn",
    what: /2 notifications of the last 7 days are in quarantine: bounce\.timestamp is not a time/,
    remedy: /fanmail rebuild/,
  },
];

const webhooks: Fault[] = [
  {
    fault: "an endpoint is disabled, and webhooks are held",
    writes: true,
    async make() {
      await sql(
        "update webhook_endpoints set state = 'disabled', disabled_reason = 'failing', disabled_at = now()",
      );
      await delivery({ state: "held", age: "1 day" });
    },
    area: "webhooks",
    status: "warn",
    what: /\(example\.com\) was disabled because it failed for days at .*; 1 webhook is held for it/,
    remedy: /fanmail endpoints enable .*undelivered/,
  },
  {
    fault: "webhooks have been due for hours",
    writes: true,
    async make() {
      await delivery({ state: "pending", age: "3 hours" });
      await sql("update webhook_lanes set failing_since = now() - interval '4 hours'");
    },
    area: "webhooks",
    status: "fail",
    what: /\(example\.com\) has 1 webhook due, the oldest for 3 hours; it has failed since/,
    remedy: /GET \/v1\/webhooks\/[\w-]+\/deliveries/,
  },
  {
    fault: "webhooks have been due for twenty minutes, and nobody posts",
    writes: true,
    make: () => delivery({ state: "pending", age: "20 minutes" }),
    area: "webhooks",
    status: "warn",
    what: /the oldest for 20 minutes\./,
    remedy: /fanmail worker/,
  },
  {
    fault: "the encryption key is another one",
    make() {
      world.patient = { ...world.patient, encryptionKeys: [Buffer.alloc(32, 8)] };
    },
    area: "webhooks",
    status: "fail",
    what: /Secrets of 1 endpoint do not open/,
    remedy: /ENCRYPTION_KEY/,
  },
  {
    fault: "the encryption key is lost",
    make() {
      world.patient = { ...world.patient, encryptionKeys: null };
    },
    area: "webhooks",
    status: "fail",
    what: /There is no encryption key/,
    remedy: /ENCRYPTION_KEY/,
  },
];

test.each([
  ...configuration,
  ...database,
  ...queues,
  ...clocks,
  ...hosts,
  ...topics,
  ...ses,
  ...reach,
  ...sqs,
  ...accounts,
  ...journal,
  ...webhooks,
])("$area: $fault", async ({ writes, make, area, status, what, remedy }) => {
  await begin(writes ?? false);
  await make();

  const findings = await world.examine();

  expect(findings).toContainEqual({
    area,
    status,
    what: expect.stringMatching(what),
    remedy: expect.stringMatching(remedy),
  });
  const unwell = findings.filter((one) => one.status === "warn" || one.status === "fail");
  expect(unwell.filter((one) => one.remedy === undefined)).toEqual([]);
  // Neither passwords nor what is secret in an address.
  expect(JSON.stringify(findings)).not.toMatch(/secret@|hook\/token|b{32}|a{32}/);
});

test("where the database is behind doctor does not bring it up to date, and skips what needs its tables", async () => {
  await begin(true);
  const names = () => sql("select name from migrations order by name");
  const all = await names();
  await sql("delete from migrations where name = (select max(name) from migrations)");

  const findings = await world.examine();

  expect(await names()).toEqual(all.slice(0, -1));
  const webhooksSeen = findings.filter(({ area }) => area === "webhooks").map(({ status }) => status);
  expect(new Set(webhooksSeen)).toEqual(new Set(["skipped"]));
});

test("where the database is away AWS is looked at all the same", async () => {
  await begin(true);
  world.configure({ SNS_TOPIC_ARNS: topic });
  destination().Enabled = false;
  await world.database.block();
  cleanUps.push(() => world.database.unblock());

  const findings = await world.examine();

  const told = findings.filter(({ status }) => status === "fail").map(({ area }) => area);
  expect(told).toEqual(["database", "ses"]);
});

const databaseName = () => new URL(world.database.url).pathname.slice(1);
const todaysPartition = () => `notifications_${new Date().toISOString().slice(0, 10).replaceAll("-", "_")}`;

/** Connects as a role that has no more than it is granted. */
async function asRole(grant: string): Promise<void> {
  const role = `doctor_${randomBytes(6).toString("hex")}`;
  await sql(`create role ${role} login password 'test'`);
  await sql(`${grant} ${role}`);
  cleanUps.push(async () => {
    await sql(`drop owned by ${role}`);
    await sql(`drop role ${role}`);
  });
  const url = new URL(world.database.url);
  Object.assign(url, { username: role, password: "test" });
  world.patient = { ...world.patient, database: { url: url.href } };
}

async function subscribed(state: "confirmation_failed" | "unsubscribed", error: string | null = null) {
  const [row] = await world.database.db.query<{ id: string }>("select id from topics");
  await setSubscriptionState(world.database.db, { project_id: defaultProjectId, id: row!.id }, state, error);
}

function batch(fields: { age: string; attempts?: number; lastError?: string; appliedAt?: Date }) {
  return sql(
    `insert into batches (id, received_at, notification_count, first_timestamp, last_timestamp, attempts, last_error, applied_at)
     values ($1, now() - $2::interval, 1, now(), now(), $3, $4, $5)`,
    [systemClock.newId(), fields.age, fields.attempts ?? 0, fields.lastError, fields.appliedAt],
  );
}

/** What EventBridge has brought. */
function said(...events: Record<string, unknown>[]): Promise<unknown> {
  const rows = events.flatMap((event) => {
    const read = interpretNotification(
      defaultProjectId,
      JSON.stringify({ Message: JSON.stringify(event) }),
      new Date(),
    );
    return read.kind === "account_status" ? [{ project_id: defaultProjectId, ...read.status }] : [];
  });
  return insertStatuses(world.database.db, rows);
}

function delivery({ state, age }: { state: string; age: string }) {
  return sql(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, due_at, created_at)
     values ($1, $2, $3, $4, 'email.bounce', '{}', $5, now() - $6::interval, now() - $6::interval)`,
    [defaultProjectId, systemClock.newId(), world.endpointId, randomUUID(), state, age],
  );
}

/** Takes every host elsewhere, and trusts what the machine trusts. */
async function through(place: { hostname?: string; port?: number }): Promise<void> {
  const connect = buildConnector({});
  const dispatcher = new Agent({
    connect: (options, callback) =>
      connect(
        { ...options, hostname: place.hostname ?? "127.0.0.1", port: String(place.port ?? 443) },
        callback,
      ),
  });
  cleanUps.push(() => dispatcher.destroy());
  world.patient = { ...world.patient, dispatcher };
}

/** A port that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port that takes connections and says nothing. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => cleanUps.push(async () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(async () => server.close());
  return (server.address() as AddressInfo).port;
}
