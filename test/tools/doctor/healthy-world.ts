import { randomUUID } from "node:crypto";
import { systemClock } from "../../../src/clock.ts";
import { type Config, readConfig } from "../../../src/config.ts";
import { insertApiKey } from "../../../src/storage/api-keys.ts";
import { partitionsOf } from "../../../src/storage/partitions.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { insertTopic, setSubscriptionState } from "../../../src/storage/topics.ts";
import type { Finding } from "../../../src/tools/doctor/finding.ts";
import type { Patient } from "../../../src/tools/doctor/patient.ts";
import { examine } from "../../../src/tools/doctor/report.ts";
import { createSecretBox } from "../../../src/webhooks/secret-box.ts";
import { type AwsLookStub, awsLookStub, type StubAccount } from "../../support/aws-look-stub.ts";
import { type AwsStub, awsStub } from "../../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { addEndpoint } from "../../support/endpoint.ts";

const accountId = "123456789012";
export const topic = `arn:aws:sns:eu-west-1:${accountId}:ses-events`;
const queue = `arn:aws:sqs:eu-west-1:${accountId}:fanmail`;
export const queueUrl = `https://sqs.eu-west-1.amazonaws.com/${accountId}/fanmail`;
export const subscription = `${topic}:11111111-2222-4333-8444-555555555555`;
export const encryptionKey = Buffer.alloc(32, 7);

/** A healthy system, with a real database and stubs of AWS. */
export type World = {
  database: TestDatabase;
  aws: AwsLookStub;
  certificates: AwsStub;
  endpointId: string;
  patient: Patient;
  /** Replaces variables of the environment. */
  configure(environment: Record<string, string>): void;
  examine(): Promise<Finding[]>;
  close(): Promise<void>;
};

/** What tests can share that do not write to the database. */
export type Ground = { database: TestDatabase; endpointId: string };

export async function healthyGround(): Promise<Ground> {
  const database = await testDatabase();
  return { database, ...(await fill(database)) };
}

/** In place of the hosts of SNS. */
export function certificateHost(): Promise<AwsStub> {
  return awsStub((_url, response) => response.end("ok"));
}

/** Closing it leaves the ground and the host open. */
export async function healthyWorld({ database, endpointId }: Ground, certificates: AwsStub): Promise<World> {
  process.env["AWS_ACCESS_KEY_ID"] = "test";
  process.env["AWS_SECRET_ACCESS_KEY"] = "test";
  const aws = await awsLookStub(healthyAccount());
  const environment = {
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: encryptionKey.toString("base64"),
    AWS_REGION: "eu-west-1",
    AWS_ENDPOINT_URL: aws.url,
    SQS_QUEUE_URLS: queueUrl,
  };
  const world: World = {
    database,
    aws,
    certificates,
    endpointId,
    patient: {
      config: readConfig(environment),
      clock: systemClock,
      dispatcher: certificates.dispatcher,
      database: { url: database.url },
      encryptionKeys: [encryptionKey],
      timeoutMs: 10_000,
      configurationSet: null,
    },
    configure(changes) {
      const config: Config = readConfig({ ...environment, ...changes });
      world.patient = { ...world.patient, config };
    },
    examine: () => examine(world.patient),
    close: () => aws.close(),
  };
  return world;
}

async function fill({ db }: TestDatabase): Promise<{ endpointId: string }> {
  const now = new Date();
  const days = [now, new Date(now.getTime() + 86_400_000)];
  const partitions = partitionsOf(db);
  await partitions.ensure("notifications", days);
  await partitions.ensure("events", days);
  const id = randomUUID();
  await insertTopic(db, { project_id: defaultProjectId, id, arn: topic });
  await setSubscriptionState(db, { project_id: defaultProjectId, id }, "confirmed");
  await db.query("update topics set heard_since = now() - interval '9 days', last_notification_at = now()");
  await insertApiKey(db, {
    project_id: defaultProjectId,
    id: randomUUID(),
    name: "test",
    prefix: "sk_proj_test",
    sha256: Buffer.alloc(32),
    scopes: ["*"],
  });
  const secretBox = createSecretBox([encryptionKey]);
  const endpoint = await addEndpoint({ clock: systemClock, db, secretBox }, "https://example.com/hook/token");
  return { endpointId: endpoint.id };
}

const allow = (Service: string, Action: string, Resource: string, Condition: object) =>
  JSON.stringify({ Statement: [{ Effect: "Allow", Principal: { Service }, Action, Resource, Condition }] });

function healthyAccount(): StubAccount {
  return {
    account: { SendingEnabled: true, ProductionAccessEnabled: true, EnforcementStatus: "HEALTHY" },
    topics: {
      [topic]: {
        attributes: {
          SignatureVersion: "2",
          Policy: allow("ses.amazonaws.com", "SNS:Publish", topic, {
            StringEquals: { "AWS:SourceAccount": accountId },
            StringLike: { "AWS:SourceArn": `arn:aws:ses:eu-west-1:${accountId}:configuration-set/my-set` },
          }),
        },
        subscriptions: [httpsSubscription(), queueSubscription()],
      },
    },
    globalEndpoints: [],
    configurationSets: {
      "my-set": {
        isSending: true,
        destinations: [
          {
            Name: "fanmail",
            Enabled: true,
            MatchingEventTypes: [
              "SEND",
              "REJECT",
              "BOUNCE",
              "COMPLAINT",
              "DELIVERY",
              "OPEN",
              "CLICK",
              "RENDERING_FAILURE",
              "DELIVERY_DELAY",
              "SUBSCRIPTION",
            ],
            SnsDestination: { TopicArn: topic },
          },
        ],
      },
    },
    queues: {
      fanmail: {
        ApproximateNumberOfMessages: "0",
        ApproximateNumberOfMessagesNotVisible: "0",
        MessageRetentionPeriod: "1209600",
        VisibilityTimeout: "60",
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: `${queue}-dead`, maxReceiveCount: "10" }),
        Policy: allow("sns.amazonaws.com", "sqs:SendMessage", queue, {
          ArnEquals: { "aws:SourceArn": topic },
        }),
      },
      "fanmail-dead": { ApproximateNumberOfMessages: "0" },
    },
    denied: [],
    unanswered: [],
  };
}

const redrive = { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: `${queue}-dead` }) };

function httpsSubscription() {
  return {
    arn: subscription,
    protocol: "https",
    endpoint: "https://fanmail.example.com/ingest/sns",
    attributes: { PendingConfirmation: "false", RawMessageDelivery: "false", ...redrive },
  };
}

function queueSubscription() {
  return {
    arn: subscription.replace("11111111", "99999999"),
    protocol: "sqs",
    endpoint: queue,
    attributes: { PendingConfirmation: "false", ...redrive },
  };
}
