import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { type Config, ConfigError, readConfig, variables } from "../src/config.ts";

const topic = "arn:aws:sns:eu-west-1:123456789012:ses-events";
const key = randomBytes(32);
const previousKeys = [randomBytes(32), randomBytes(32)];
const database = {
  DATABASE_PREPARED_STATEMENTS: "off",
  DATABASE_URL: "postgres://user:password@host:5432/fanmail",
  ENCRYPTION_KEY: key.toString("base64"),
};
const certificate = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem=/tmp/a=b.pem";

const defaults: Config = {
  host: "127.0.0.1",
  port: 3000,
  databaseUrl: null,
  preparedStatements: "on",
  dataDir: resolve(".fanmail"),
  redisUrls: [],
  topicArns: [],
  snsRawTokens: [],
  sqsQueueUrls: [],
  awsRegion: null,
  awsEndpointUrl: null,
  localCertificates: new Map(),
  bootstrapApiKey: null,
  encryptionKey: null,
  encryptionKeysPrevious: [],
  webhookAllowedCidrs: [],
  openWindowSeconds: 1200,
  rateLimitPerMinute: 10_000,
  publicUrl: null,
  journalDays: 14,
  discardDays: 30,
  logLevel: "info",
  metricsPort: null,
  otlpEndpoint: null,
};

const everything = {
  HOST: "0.0.0.0",
  PORT: "8080",
  ...database,
  DATABASE_PREPARED_STATEMENTS: "off",
  DATA_DIR: "/var/lib/fanmail",
  REDIS_URL: "redis://127.0.0.1:6379",
  SNS_TOPIC_ARNS: ` ${topic} , ${topic}.fifo,`,
  SNS_RAW_TOKEN: `${"t".repeat(32)}, ${"u".repeat(40)}`,
  SQS_QUEUE_URLS: "https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events",
  AWS_REGION: "us-gov-west-1",
  AWS_ENDPOINT_URL: "http://127.0.0.1:4566",
  SNS_LOCAL_CERTS: certificate,
  BOOTSTRAP_API_KEY: `sk_proj_${"a".repeat(32)}`,
  ENCRYPTION_KEY_PREVIOUS: previousKeys.map((previous) => previous.toString("base64")).join(" , "),
  WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8,fd00::/8, 10.0.0.1/32",
  OPEN_WINDOW_SECONDS: "0",
  RATE_LIMIT_PER_MINUTE: "60",
  PUBLIC_URL: "https://mail.example.com/fanmail/",
  JOURNAL_DAYS: "7",
  DISCARD_DAYS: "90",
  LOG_LEVEL: "debug",
  METRICS_PORT: "9464",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318",
};

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("readConfig", () => {
  test("needs nothing", () => {
    expect(readConfig({})).toEqual(defaults);
  });

  test("reads every variable", () => {
    expect(readConfig(everything)).toEqual({
      host: "0.0.0.0",
      port: 8080,
      databaseUrl: database.DATABASE_URL,
      preparedStatements: "off",
      dataDir: "/var/lib/fanmail",
      redisUrls: ["redis://127.0.0.1:6379"],
      topicArns: [topic, `${topic}.fifo`],
      snsRawTokens: ["t".repeat(32), "u".repeat(40)],
      sqsQueueUrls: ["https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events"],
      awsRegion: "us-gov-west-1",
      awsEndpointUrl: "http://127.0.0.1:4566",
      localCertificates: new Map([
        ["https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem", "/tmp/a=b.pem"],
      ]),
      bootstrapApiKey: `sk_proj_${"a".repeat(32)}`,
      encryptionKey: key,
      encryptionKeysPrevious: previousKeys,
      webhookAllowedCidrs: ["127.0.0.0/8", "fd00::/8", "10.0.0.1/32"],
      openWindowSeconds: 0,
      rateLimitPerMinute: 60,
      publicUrl: "https://mail.example.com/fanmail",
      journalDays: 7,
      discardDays: 90,
      logLevel: "debug",
      metricsPort: 9464,
      otlpEndpoint: "http://127.0.0.1:4318",
    });
  });

  test.each(["", " ", "\t\n"])("takes a variable that is %j for unset", (empty) => {
    const environment = Object.fromEntries(Object.keys(everything).map((name) => [name, empty]));

    expect(readConfig({ ...environment, NODE_ENV: empty, SNS_ALLOW_LOCAL_CERTS: empty })).toEqual(defaults);
  });

  test("does not look at other variables", () => {
    expect(readConfig({ PATH: "/bin", FANMAIL_PORT: "x", npm_config_port: "y" })).toEqual(defaults);
  });
});

describe("the queue", () => {
  test.each([
    ["rediss://user:password@host:6380/2", ["rediss://user:password@host:6380/2"]],
    ["redis://a:1,redis://b:2", ["redis://a:1", "redis://b:2"]],
    [" redis://a:1 , ", ["redis://a:1"]],
  ])("of REDIS_URL %s", (url, urls) => {
    expect(readConfig({ REDIS_URL: url }).redisUrls).toEqual(urls);
  });
});

describe("wrong values", () => {
  const secret = "jane:hunter2";
  const wrong = {
    PORT: `3000 ${secret}`,
    DATABASE_URL: `mysql://${secret}@host/db`,
    REDIS_URL: `redis://a,http://${secret}@host`,
    SNS_TOPIC_ARNS: `${topic},${secret}`,
    SQS_QUEUE_URLS: secret,
    AWS_REGION: secret,
    AWS_ENDPOINT_URL: `ftp://${secret}@host`,
    SNS_LOCAL_CERTS: `http://a=${secret}`,
    SNS_ALLOW_LOCAL_CERTS: secret,
    BOOTSTRAP_API_KEY: secret,
    ENCRYPTION_KEY: secret,
    ENCRYPTION_KEY_PREVIOUS: secret,
    WEBHOOK_ALLOWED_CIDRS: `10.0.0.0/8,${secret}`,
    OPEN_WINDOW_SECONDS: "-1",
    RATE_LIMIT_PER_MINUTE: "0",
    JOURNAL_DAYS: "1.5",
    DISCARD_DAYS: "forever",
    LOG_LEVEL: secret,
  };

  test("are named all at once, each once, and never quoted", () => {
    const problems = problemsOf({ ...everything, ...wrong });

    expect(problems.map((problem) => problem.split(" ")[0]).toSorted()).toEqual(
      Object.keys(wrong).toSorted(),
    );
    expect(() => readConfig(wrong)).toThrow(ConfigError);
    const { message } = new ConfigError(problems);
    expect(Object.keys(wrong).filter((name) => !message.includes(name))).toEqual([]);
    expect(message).not.toContain("hunter2");
  });

  test.each([
    ["PORT", "65536"],
    ["PORT", "-1"],
    ["PORT", "0x10"],
    ["PORT", "1e3"],
    ["DATABASE_URL", "host:5432"],
    ["DATABASE_URL", "http://host/db"],
    ["SNS_TOPIC_ARNS", "arn:aws:sqs:eu-west-1:123456789012:ses-events"],
    ["SNS_TOPIC_ARNS", "arn:aws:sns:eu-west-1:123456789012:*"],
    ["AWS_REGION", "Ireland"],
    ["AWS_REGION", "eusc_de_east_1"],
    ["SNS_RAW_TOKEN", "t".repeat(31)],
    ["SNS_RAW_TOKEN", `${"t".repeat(32)},${"t".repeat(31)}/`],
    ["METRICS_PORT", "65536"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
    ["SNS_LOCAL_CERTS", "https://sns.eu-west-1.amazonaws.com/a.pem"],
    ["BOOTSTRAP_API_KEY", `sk_proj_${"a".repeat(31)}`],
    ["BOOTSTRAP_API_KEY", `sk_test_${"a".repeat(40)}`],
    ["ENCRYPTION_KEY", randomBytes(16).toString("base64")],
    ["ENCRYPTION_KEY", randomBytes(32).toString("hex")],
    ["ENCRYPTION_KEY_PREVIOUS", `${key.toString("base64")},${randomBytes(31).toString("base64")}`],
    ["ENCRYPTION_KEY_PREVIOUS", `${key.toString("base64")} ${key.toString("base64")}`],
    ["WEBHOOK_ALLOWED_CIDRS", "10.0.0.0"],
    ["WEBHOOK_ALLOWED_CIDRS", "10.0.0.0/33"],
    ["WEBHOOK_ALLOWED_CIDRS", "10.0.0.0/8/8"],
    ["WEBHOOK_ALLOWED_CIDRS", "fd00::/129"],
    ["WEBHOOK_ALLOWED_CIDRS", "localhost/8"],
    ["OPEN_WINDOW_SECONDS", "31536001"],
    ["RATE_LIMIT_PER_MINUTE", "1000000000"],
    ["PUBLIC_URL", "mail.example.com"],
    ["PUBLIC_URL", "https://mail.example.com/?a=1"],
    ["JOURNAL_DAYS", "0"],
    ["DISCARD_DAYS", "3651"],
    ["LOG_LEVEL", "verbose"],
  ])("%s=%s is refused with the name alone", (name, value) => {
    const problems = problemsOf({ ...everything, [name]: value });

    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} \\S`));
    expect(problems[0]?.replace(/ such as \S+$/, "")).not.toContain(` ${value}`);
  });
});

describe("what single variables cannot tell", () => {
  test("DATABASE_URL asks for ENCRYPTION_KEY, whose generated file may not survive", () => {
    expect(problemsOf({ DATABASE_URL: database.DATABASE_URL })).toEqual([
      "ENCRYPTION_KEY is required with DATABASE_URL; make one with: openssl rand -base64 32",
    ]);
    expect(problemsOf({ DATABASE_URL: database.DATABASE_URL, ENCRYPTION_KEY: "" })).toHaveLength(1);
    expect(problemsOf(database)).toEqual([]);
  });

  test("ENCRYPTION_KEY_PREVIOUS asks for the key that follows them", () => {
    const { ENCRYPTION_KEY_PREVIOUS } = everything;

    expect(problemsOf({ ENCRYPTION_KEY_PREVIOUS })).toEqual([
      "ENCRYPTION_KEY_PREVIOUS needs ENCRYPTION_KEY, the key that encrypts from now on",
    ]);
    expect(problemsOf({ ENCRYPTION_KEY_PREVIOUS, ENCRYPTION_KEY: database.ENCRYPTION_KEY })).toEqual([]);
  });

  test("local certificates are refused in production unless they are allowed", () => {
    const production = { SNS_LOCAL_CERTS: certificate, NODE_ENV: "production" };

    expect(problemsOf(production)).toEqual([
      "SNS_LOCAL_CERTS is refused with NODE_ENV=production unless SNS_ALLOW_LOCAL_CERTS=1",
    ]);
    expect(problemsOf({ ...production, SNS_ALLOW_LOCAL_CERTS: "0" })).toHaveLength(1);
    expect(problemsOf({ ...production, SNS_ALLOW_LOCAL_CERTS: "1" })).toEqual([]);
    expect(problemsOf({ ...production, NODE_ENV: "development" })).toEqual([]);
    expect(problemsOf({ NODE_ENV: "production" })).toEqual([]);
  });

  test("is told beside the malformed values", () => {
    expect(problemsOf({ DATABASE_URL: database.DATABASE_URL, PORT: "x" })).toEqual([
      "PORT must be a whole number from 0 to 65535",
      "ENCRYPTION_KEY is required with DATABASE_URL; make one with: openssl rand -base64 32",
    ]);
  });
});

test.each(["eu-west-1", "us-gov-west-1", "eusc-de-east-1", "us-isof-south-1"])(
  "AWS_REGION takes %s",
  (region) => {
    expect(readConfig({ AWS_REGION: region }).awsRegion).toBe(region);
  },
);

test("docs/configuration.md names every variable, with its default", async () => {
  const page = await readFile(new URL("../docs/configuration.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| (`[^|]+) \| ([^|]+) \|/gm)].flatMap(([, names = "", defaults = ""]) => {
    const unquoted = (cell: string) => cell.split(", ").map((part) => part.replaceAll("`", ""));
    return unquoted(names).map((name, place) => [name, unquoted(defaults)[place] ?? defaults] as const);
  });
  const documented = new Map(rows);

  for (const [name, { property, schema }] of Object.entries(variables)) {
    const value = schema.parse(undefined);
    if (property === null) expect(page).toContain(`\`${name}`);
    else if (value === null || typeof value === "object")
      expect(documented.get(name), name).toMatch(/^(unset|empty|generated in DATA_DIR)$/);
    else {
      const cell = documented.get(name) ?? "";
      expect([cell, resolve(cell)], name).toContain(String(value));
    }
  }
});
