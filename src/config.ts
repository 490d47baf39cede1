import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { databaseUrlProblem, redisUrlProblem } from "./connection-url.ts";
import { isRegion } from "./domain/arn.ts";
import { isTopicArn } from "./domain/mail/sns-message.ts";
import { type LogLevel, logLevels } from "./logger.ts";

export type Config = {
  host: string;
  port: number;
  /** null: the embedded Postgres in `dataDir`. */
  databaseUrl: string | null;
  dataDir: string;
  /** Of one server or of the nodes of a cluster; none: the queue runs in the database. */
  redisUrls: string[];
  topicArns: string[];
  /** Any of them will do; none: raw SNS deliveries, which carry no signature, are refused. */
  snsRawTokens: string[];
  sqsQueueUrls: string[];
  awsRegion: string | null;
  awsEndpointUrl: string | null;
  /** Exact SigningCertURL → path of a PEM file. */
  localCertificates: Map<string, string>;
  bootstrapApiKey: string | null;
  /** null: generated in `dataDir`. */
  encryptionKey: Buffer | null;
  /** They open what was encrypted before `encryptionKey` was the key. */
  encryptionKeysPrevious: Buffer[];
  webhookAllowedCidrs: string[];
  openWindowSeconds: number;
  rateLimitPerMinute: number;
  /** Where callers reach the API, without a slash at its end; null: links hold no host. */
  publicUrl: string | null;
  journalDays: number;
  discardDays: number;
  logLevel: LogLevel;
  /** Where health and metrics are served apart from everything else; null: nowhere. */
  metricsPort: number | null;
  /** Where traces go; null: there are none. */
  otlpEndpoint: string | null;
};

/** Every variable that is wrong, each with what it should be. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

const wholeNumber = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= least && value <= most, message);
};
const list = z.string().transform((text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);
const urlOf = (protocols: string[], example: string) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `must be a URL such as ${example}`,
    );
const topicArn = z.string().refine(isTopicArn, "holds something that is not the ARN of an SNS topic");
const queueUrl = urlOf(["https:", "http:"], "https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events");
const withoutProblem = (problemOf: (text: string) => string | null) =>
  z.string().check(({ value, issues }) => {
    const message = problemOf(value);
    if (message !== null) issues.push({ code: "custom", message, input: value });
  });
const redisUrls = list.pipe(z.array(withoutProblem(redisUrlProblem)));
const cidr = z.string().refine(isCidr, "holds something that is not a network such as 10.0.0.0/8");
const key = (message: string) =>
  z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, message)
    .transform((text) => Buffer.from(text, "base64"));
const encryptionKey = key("must be 32 bytes in base64; make one with: openssl rand -base64 32");
const previousKeys = list.pipe(
  z.array(key("must be keys of 32 bytes in base64, separated by commas, that were ENCRYPTION_KEY before")),
);
const rawToken = z
  .string()
  .regex(
    /^[A-Za-z0-9_-]{32,}$/,
    "must be at least 32 letters, digits, _ or - (several separated by commas, while they change); make one with: openssl rand -hex 32",
  );
const apiKey = z
  .string()
  .regex(/^sk_proj_[A-Za-z0-9_-]{32,}$/, "must be sk_proj_ and at least 32 letters, digits, _ or -");

/** The variables of the environment. Every one is optional; an empty one counts as unset. */
const Environment = z.object({
  HOST: z.string().default("127.0.0.1"),
  PORT: wholeNumber(0, 65_535).default(3000),
  DATABASE_URL: withoutProblem(databaseUrlProblem).optional(),
  DATA_DIR: z.string().default(".fanmail"),
  REDIS_URL: redisUrls.default([]),
  SNS_TOPIC_ARNS: list.pipe(z.array(topicArn)).default([]),
  SNS_RAW_TOKEN: list.pipe(z.array(rawToken)).default([]),
  SQS_QUEUE_URLS: list.pipe(z.array(queueUrl)).default([]),
  AWS_REGION: z.string().refine(isRegion, "must be a region such as eu-west-1").optional(),
  AWS_ENDPOINT_URL: urlOf(["https:", "http:"], "http://127.0.0.1:4566").optional(),
  SNS_LOCAL_CERTS: list
    .pipe(z.array(z.string().regex(/^https:\/\/[^=]+=.+$/, "must be url=path pairs, separated by commas")))
    .default([]),
  SNS_ALLOW_LOCAL_CERTS: z.enum(["0", "1"], "must be 0 or 1").default("0"),
  NODE_ENV: z.string().optional(),
  BOOTSTRAP_API_KEY: apiKey.optional(),
  ENCRYPTION_KEY: encryptionKey.optional(),
  ENCRYPTION_KEY_PREVIOUS: previousKeys.default([]),
  WEBHOOK_ALLOWED_CIDRS: list.pipe(z.array(cidr)).default([]),
  OPEN_WINDOW_SECONDS: wholeNumber(0, 31_536_000).default(1200),
  RATE_LIMIT_PER_MINUTE: wholeNumber(1, 100_000_000).default(10_000),
  JOURNAL_DAYS: wholeNumber(1, 3650).default(14),
  DISCARD_DAYS: wholeNumber(1, 3650).default(30),
  LOG_LEVEL: z.enum(logLevels, `must be one of ${logLevels.join(", ")}`).default("info"),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  PUBLIC_URL: urlOf(["https:", "http:"], "https://mail.example.com/fanmail")
    .refine((text) => !/[?#]/.test(text), "must be a URL without ? and #")
    .transform((text) => text.replace(/\/+$/, ""))
    .optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlOf(["https:", "http:"], "http://127.0.0.1:4318").optional(),
});

/**
 * Reads the configuration.
 * @throws ConfigError that names every wrong variable at once.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
  const parsed = Environment.safeParse(given);
  const problems = [...(parsed.error?.issues ?? []).map(describe), ...conflictsOf(given)];
  if (!parsed.success || problems.length > 0) throw new ConfigError([...new Set(problems)]);
  return toConfig(parsed.data);
}

function describe({ path, message }: z.core.$ZodIssue): string {
  return `${String(path[0])} ${message}`;
}

/** What single variables cannot tell. Read from the text, so that it is told beside malformed values. */
function conflictsOf(given: Record<string, string | undefined>): string[] {
  const conflicts: string[] = [];
  if (given["DATABASE_URL"] && !given["ENCRYPTION_KEY"]) {
    conflicts.push("ENCRYPTION_KEY is required with DATABASE_URL; make one with: openssl rand -base64 32");
  }
  if (given["ENCRYPTION_KEY_PREVIOUS"] && !given["ENCRYPTION_KEY"]) {
    conflicts.push("ENCRYPTION_KEY_PREVIOUS needs ENCRYPTION_KEY, the key that encrypts from now on");
  }
  if (
    given["SNS_LOCAL_CERTS"] &&
    given["NODE_ENV"] === "production" &&
    given["SNS_ALLOW_LOCAL_CERTS"] !== "1"
  ) {
    conflicts.push("SNS_LOCAL_CERTS is refused with NODE_ENV=production unless SNS_ALLOW_LOCAL_CERTS=1");
  }
  return conflicts;
}

function toConfig(env: z.infer<typeof Environment>): Config {
  return {
    host: env.HOST,
    port: env.PORT,
    databaseUrl: env.DATABASE_URL ?? null,
    dataDir: resolve(env.DATA_DIR),
    redisUrls: env.REDIS_URL,
    topicArns: env.SNS_TOPIC_ARNS,
    snsRawTokens: env.SNS_RAW_TOKEN,
    sqsQueueUrls: env.SQS_QUEUE_URLS,
    awsRegion: env.AWS_REGION ?? null,
    awsEndpointUrl: env.AWS_ENDPOINT_URL ?? null,
    localCertificates: new Map(env.SNS_LOCAL_CERTS.map(splitPair)),
    bootstrapApiKey: env.BOOTSTRAP_API_KEY ?? null,
    encryptionKey: env.ENCRYPTION_KEY ?? null,
    encryptionKeysPrevious: env.ENCRYPTION_KEY_PREVIOUS,
    webhookAllowedCidrs: env.WEBHOOK_ALLOWED_CIDRS,
    openWindowSeconds: env.OPEN_WINDOW_SECONDS,
    rateLimitPerMinute: env.RATE_LIMIT_PER_MINUTE,
    publicUrl: env.PUBLIC_URL ?? null,
    journalDays: env.JOURNAL_DAYS,
    discardDays: env.DISCARD_DAYS,
    logLevel: env.LOG_LEVEL,
    metricsPort: env.METRICS_PORT ?? null,
    otlpEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT ?? null,
  };
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf("=");
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

function isCidr(text: string): boolean {
  const [address, bits, ...rest] = text.split("/");
  const family = isIP(address ?? "");
  return (
    family !== 0 &&
    rest.length === 0 &&
    /^\d{1,3}$/.test(bits ?? "") &&
    Number(bits) <= (family === 4 ? 32 : 128)
  );
}
