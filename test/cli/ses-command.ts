import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { z } from "zod";
import { type AwsApiStub, awsApiStub } from "../support/aws-api-stub.ts";
import { run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

/*
 * The built program against stubs of three AWS APIs, which check the signature of each request.
 */

export const topicArn = "arn:aws:sns:eu-west-1:210987654321:ses-events";

export const endpoint = "https://fanmail.example.com/ingest/sns";

export const https = ["connect", "--configuration-set", "my-set", "--https", endpoint];

export const queue = ["connect", "--configuration-set", "my-set", "--queue", "ses-events"];

export let aws: AwsApiStub;

export let database: TestDatabase;

let directory: { path: string; remove(): Promise<void> };

let environment: Record<string, string>;

export const ses = (args: string[], more: Record<string, string> = {}) =>
  run(["ses", ...args], { ...environment, ...more });

/** What `--json` prints. */
const Answer = z.looseObject({
  steps: z.array(
    z.object({
      subject: z.string(),
      outcome: z.string(),
      calls: z.array(z.object({ action: z.string(), input: z.unknown() })),
      notes: z.array(z.string()),
    }),
  ),
});

export const calls = (stdout: string) => Answer.parse(JSON.parse(stdout)).steps.flatMap((step) => step.calls);

export const outcomes = (stdout: string) =>
  Answer.parse(JSON.parse(stdout)).steps.map((step) => step.outcome);

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    database = await testDatabase();
    directory = await dataDirectory();
    aws = await awsApiStub();
    environment = {
      ...aws.environment,
      DATA_DIR: directory.path,
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    };
  });
  afterAll(async () => {
    await aws?.close();
    await directory?.remove();
    await database?.drop();
  });
  beforeEach(async () => {
    aws.reset();
    await database.db.query("delete from topics");
  });
}
