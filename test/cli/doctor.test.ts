import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { areas } from "../../src/tools/doctor/finding.ts";
import type { AwsStub } from "../support/aws-stub.ts";
import { run } from "../support/command.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import {
  certificateHost,
  encryptionKey,
  type Ground,
  healthyGround,
  healthyWorld,
  type World,
} from "../tools/doctor/healthy-world.ts";

let ground: Ground;
let certificates: AwsStub;
let world: World;
let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  [ground, certificates, directory] = await Promise.all([
    healthyGround(),
    certificateHost(),
    dataDirectory(),
  ]);
  world = await healthyWorld(ground, certificates);
});
afterAll(async () => {
  await world.close();
  await certificates.close();
  await ground.database.drop();
  await directory.remove();
});

const own = () => ({
  HOME: directory.path,
  DATABASE_URL: ground.database.url,
  ENCRYPTION_KEY: encryptionKey.toString("base64"),
  // The tests reach no host of AWS; with a local certificate that is only a warning.
  SNS_LOCAL_CERTS: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem=/nowhere.pem",
});
const withAws = () => ({
  ...own(),
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
  AWS_ENDPOINT_URL: world.aws.url,
});

test("without faults: a line for each finding, none failed, and exit code 0", async () => {
  const { code, stdout, stderr } = await run(["doctor"], withAws());

  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  const seen = lines.slice(0, -2);
  expect(seen.filter((line) => !/^(ok|warn|fail|skip) +[a-z]+ +\S|^ +→ \S/.test(line))).toEqual([]);
  expect(seen.filter((line) => line.startsWith("fail"))).toEqual([]);
  expect(seen).toContain("ok    database       The schema is up to date.");
  expect(lines.at(-1)).toMatch(/^\d+ ok, \d+ to look at, 0 failed, \d+ skipped\.$/);
});

test("a fault: what it is, the remedy below it, and exit code 1", async () => {
  world.aws.account.configurationSets["my-set"]!.destinations[0]!.Enabled = false;

  const { code, stdout } = await run(["doctor"], withAws());
  world.aws.account.configurationSets["my-set"]!.destinations[0]!.Enabled = true;

  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^fail {2}ses {12}The event destination fanmail of the configuration set my-set is disabled\.\n {21}→ Enable it: run npx fanmail ses connect/m,
  );
});

test("--json has the status and all checks", async () => {
  const { code, stdout } = await run(
    ["doctor", "--json", "--configuration-set", "none", "--timeout", "20"],
    withAws(),
  );

  expect(code).toBe(1);
  const { status, checks } = JSON.parse(stdout);
  expect(status).toBe("fail");
  expect(checks.filter((check: { status: string }) => check.status === "fail")).toEqual([
    {
      area: "topics",
      status: "fail",
      what: expect.stringContaining("does not let SES with the configuration set none publish to it"),
      remedy: expect.any(String),
    },
    {
      area: "ses",
      status: "fail",
      what: expect.stringContaining("the configuration set none"),
      remedy: expect.any(String),
    },
  ]);
});

test("without credentials it says what it did not check, and how to give them", async () => {
  const { code, stdout } = await run(["doctor", "--json"], own());

  expect(code).toBe(0);
  const skipped = JSON.parse(stdout).checks.filter(({ status }: { status: string }) => status === "skipped");
  expect(skipped).toEqual(
    expect.arrayContaining(
      ["topics", "ses"].map((area) => ({
        area,
        status: "skipped",
        what: expect.stringMatching(/^Doctor did not look at .* AWS/),
        remedy: expect.stringContaining("AWS_ACCESS_KEY_ID"),
      })),
    ),
  );
});

test("waiting for credentials does not delay the report", async () => {
  const config = `${directory.path}/aws-config`;
  await writeFile(config, "[default]\ncredential_process = sleep 70\n");

  const { code, stdout } = await run(["doctor"], { ...own(), AWS_CONFIG_FILE: config });

  expect(code).toBe(0);
  expect(stdout).toMatch(/^skip {2}ses .*AWS credentials cannot be had: no answer within 2 s\.$/m);
});

test("a wrong configuration: each problem is reported, and nothing else is checked", async () => {
  const { code, stdout } = await run(["doctor", "--json"], { ...own(), PORT: "x", LOG_LEVEL: "loud" });

  expect(code).toBe(1);
  const { checks } = JSON.parse(stdout);
  expect(checks.slice(0, 2).map(({ what }: { what: string }) => what)).toEqual([
    "PORT must be a whole number from 0 to 65535.",
    "LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent.",
  ]);
  expect(checks.slice(2).map(({ area, status }: { area: string; status: string }) => [area, status])).toEqual(
    areas.filter((area) => area !== "configuration").map((area) => [area, "skipped"]),
  );
});

test("a fresh directory, and a service that was just started: the next steps come first", async () => {
  const environment = { HOME: directory.path, DATA_DIR: `${directory.path}/fresh`, PORT: "0" };
  const nextSteps = async () => {
    const { code, stdout } = await run(["doctor"], environment);
    expect([code, stdout.split("\n").at(-2)]).toEqual([
      0,
      expect.stringMatching(/to begin with, .* 0 failed, /),
    ]);
    return stdout.split("\n").filter((_, index) => index < 4);
  };
  expect(await nextSteps()).toEqual([
    `next  database       There is no database in ${directory.path}/fresh yet.`,
    expect.stringContaining("npx fanmail start"),
    "ok    configuration  The configuration is well formed.",
    expect.stringMatching(/^skip /),
  ]);

  const service = fanmail(["start"], environment);
  await service.line(/listens on/);
  expect(await nextSteps()).toEqual([
    "next  configuration  No topic is allow-listed and no queue is configured yet.",
    expect.stringMatching(/npx fanmail ses connect .* --region /),
    "next  configuration  There is no API key yet.",
    expect.stringContaining("npx fanmail keys create --name my-app --scopes activity:read"),
  ]);
  await terminate(service);
});

describe("with the embedded database", () => {
  const embedded = () => ({ HOME: directory.path, DATA_DIR: `${directory.path}/data`, PORT: "0" });
  const databaseLines = async () => {
    const { stdout } = await run(["doctor"], embedded());
    return stdout.split("\n").filter((line) => /^\w+ +database/.test(line));
  };

  test("doctor creates no database, uses that of a running service, and starts that of a stopped one", async () => {
    expect((await databaseLines())[0]).toMatch(/^next {2}database {7}There is no database in .*data yet\.$/);

    const service = fanmail(["start"], {
      ...embedded(),
      SNS_TOPIC_ARNS: "arn:aws:sns:eu-west-1:123456789012:x",
    });
    const [, url] = await service.line(/listens on (\S+)/);
    const upToDate = "ok    database       The schema is up to date.";
    expect(await databaseLines()).toContain(upToDate);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    await terminate(service);
    expect(await databaseLines()).toContain(upToDate);
  });
});

test.each([
  ["--timeout 0", "--timeout takes a number of seconds above 0, and 600 at most"],
  ["--timeout soon", "--timeout takes a number of seconds above 0, and 600 at most"],
  ["database", "Unknown argument: database"],
])("fanmail doctor %s is refused", async (line, message) => {
  expect(await run(["doctor", ...line.split(" ")], own())).toEqual({
    code: 1,
    stdout: "",
    stderr: `fanmail doctor: ${message}\nSee: npx fanmail doctor --help\n`,
  });
});
