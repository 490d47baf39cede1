import { expect, test } from "vitest";
import { insertTopic } from "../../src/storage/topics.ts";
import { ApiError } from "../support/aws-state.ts";
import { aws, database, endpoint, https, ses, setUp, topicArn } from "./ses-command.ts";

setUp();

test("a missing configuration set is reported with the existing ones, before anything is created", async () => {
  for (const name of ["b-set", "c-set"]) aws.state.sets.set(name, new Map());
  const args = ["connect", "--configuration-set", "other", "--https", endpoint];
  const { code, stderr } = await ses(args);
  expect(code).toBe(1);
  expect(stderr).toContain(
    'There is no configuration set "other" in this region. There are: my-set, b-set, c-set. Name one of them, or another region than eu-west-1',
  );
  expect(aws.writes()).toEqual([]);
  expect((await ses([...args, "--create-configuration-set"])).code).toBe(0);
  expect([...(aws.state.sets.get("other")?.keys() ?? [])]).toEqual(["fanmail"]);
});

test("a topic that belongs to another project is not subscribed", async () => {
  const other = "00000000-0000-8000-8000-000000000002";
  await database.db.query("insert into projects (id, name) values ($1, 'other')", [other]);
  await insertTopic(database.db, { project_id: other, id: other, arn: topicArn });
  const { code, stderr } = await ses(https);
  expect(code).toBe(1);
  expect(stderr).toContain(`${topicArn} belongs to another project`);
  expect(aws.state.subscriptions).toEqual([]);
  expect((await ses([...https, "--project", "other"])).code).toBe(0);
});

test.each([
  [{ AWS_SECRET_ACCESS_KEY: "wrong" }, "AWS refuses the credentials (SignatureDoesNotMatch"],
  [{ AWS_ACCESS_KEY_ID: "AKIAOTHER" }, "AWS refuses the credentials (InvalidClientTokenId"],
  [{ AWS_ENDPOINT_URL: "http://127.0.0.1:1" }, "AWS cannot be reached (connect ECONNREFUSED"],
  [
    { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_CONFIG_FILE: "/never", HOME: "/never" },
    "there are no AWS credentials",
  ],
])("with %o the call, the reason and the remedy are reported", async (more, text) => {
  const { code, stderr } = await ses(https, more);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^fanmail ses: ses:GetConfigurationSetEventDestinations, for the configuration set my-set: /,
  );
  expect(stderr).toContain(text);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(aws.received).toEqual([]);
});

test("when AWS refuses a call it is named; what was done stays done, and the next run continues", async () => {
  aws.fail("sns:Subscribe", new ApiError(403, "AuthorizationError", "You may not."));
  const { code, stdout, stderr } = await ses(https);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `fanmail ses: sns:Subscribe, for the topic ${topicArn}: AWS does not allow it (You may not.). The caller needs sns:Subscribe; --dry-run prints the whole policy that it needs.\n`,
  );
  expect(stdout).toContain("done       event destination fanmail of my-set");
  aws.fail("sns:Subscribe", new ApiError(400, "Throttling", "Rate exceeded"));
  expect((await ses(https)).stderr).toContain("Run it again in a minute");
});
