import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { isRegion } from "./domain/arn.ts";
import { isTopicArn } from "./domain/mail/sns-message.ts";
import { isHttpUrl, parseUrl } from "./domain/url.ts";
import { logLevels } from "./logger.ts";

/** Every variable that is wrong, each with what it should be. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * The environment variables: the name that each has in `Config` (null: only a check reads it), and how it is read. Every one
 * is optional; an empty one counts as unset. docs/configuration.md explains them.
 */
export const variables = {
  HOST: variable("host", z.string().default("127.0.0.1")),
  PORT: variable("port", wholeNumber(0, 65_535).default(3000)),
  DATABASE_URL: variable("databaseUrl", orNull(without(databaseUrlProblem))),
  DATABASE_PREPARED_STATEMENTS: variable(
    "preparedStatements",
    z.enum(["on", "off"], "must be on or off").default("on"),
  ),
  DATA_DIR: variable(
    "dataDir",
    z
      .string()
      .default(".fanmail")
      .transform((path) => resolve(path)),
  ),
  REDIS_URL: variable("redisUrls", listOf(without(redisUrlProblem))),
  SNS_TOPIC_ARNS: variable(
    "topicArns",
    listOf(z.string().refine(isTopicArn, "holds something that is not the ARN of an SNS topic")),
  ),
  SNS_RAW_TOKEN: variable(
    "snsRawTokens",
    listOf(
      z
        .string()
        .regex(
          /^[A-Za-z0-9_-]{32,}$/,
          "must be at least 32 letters, digits, _ or - (several separated by commas, while they change); make one with: openssl rand -hex 32",
        ),
    ),
  ),
  SQS_QUEUE_URLS: variable(
    "sqsQueueUrls",
    listOf(httpUrl("https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events")),
  ),
  AWS_REGION: variable(
    "awsRegion",
    orNull(z.string().refine(isRegion, "must be a region such as eu-west-1")),
  ),
  AWS_ENDPOINT_URL: variable("awsEndpointUrl", orNull(httpUrl("http://127.0.0.1:4566"))),
  /** Exact SigningCertURL → path of a PEM file. */
  SNS_LOCAL_CERTS: variable(
    "localCertificates",
    listOf(z.string().regex(/^https:\/\/[^=]+=.+$/, "must be url=path pairs, separated by commas")).transform(
      (pairs) => new Map(pairs.map(splitPair)),
    ),
  ),
  SNS_ALLOW_LOCAL_CERTS: variable(null, z.enum(["0", "1"], "must be 0 or 1").default("0")),
  NODE_ENV: variable(null, orNull(z.string())),
  BOOTSTRAP_API_KEY: variable(
    "bootstrapApiKey",
    orNull(
      z
        .string()
        .regex(/^sk_proj_[A-Za-z0-9_-]{32,}$/, "must be sk_proj_ and at least 32 letters, digits, _ or -"),
    ),
  ),
  /** null: generated in `dataDir`. */
  ENCRYPTION_KEY: variable(
    "encryptionKey",
    orNull(encryptionKey("must be 32 bytes in base64; make one with: openssl rand -base64 32")),
  ),
  ENCRYPTION_KEY_PREVIOUS: variable(
    "encryptionKeysPrevious",
    listOf(
      encryptionKey(
        "must be keys of 32 bytes in base64, separated by commas, that were ENCRYPTION_KEY before",
      ),
    ),
  ),
  WEBHOOK_ALLOWED_CIDRS: variable(
    "webhookAllowedCidrs",
    listOf(z.string().refine(isCidr, "holds something that is not a network such as 10.0.0.0/8")),
  ),
  OPEN_WINDOW_SECONDS: variable("openWindowSeconds", wholeNumber(0, 31_536_000).default(1200)),
  RATE_LIMIT_PER_MINUTE: variable("rateLimitPerMinute", wholeNumber(1, 100_000_000).default(10_000)),
  JOURNAL_DAYS: variable("journalDays", wholeNumber(1, 3650).default(14)),
  DISCARD_DAYS: variable("discardDays", wholeNumber(1, 3650).default(30)),
  LOG_LEVEL: variable(
    "logLevel",
    z.enum(logLevels, `must be one of ${logLevels.join(", ")}`).default("info"),
  ),
  METRICS_PORT: variable("metricsPort", orNull(wholeNumber(0, 65_535))),
  /** Without a slash at its end. */
  PUBLIC_URL: variable(
    "publicUrl",
    orNull(
      httpUrl("https://mail.example.com/fanmail")
        .refine((text) => !/[?#]/.test(text), "must be a URL without ? and #")
        .transform((text) => text.replace(/\/+$/, "")),
    ),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable("otlpEndpoint", orNull(httpUrl("http://127.0.0.1:4318"))),
};

type Variables = typeof variables;

/** Unset variables without a default are null, unset lists are empty. */
export type Config = {
  [Name in keyof Variables as Variables[Name]["property"] & string]: z.output<Variables[Name]["schema"]>;
};

const Environment = z.object(schemasOf(variables));

function schemasOf<Table extends Record<string, { schema: z.ZodType }>>(table: Table) {
  const schemas = Object.entries(table).map(([name, { schema }]) => [name, schema]);
  return Object.fromEntries(schemas) as { [Name in keyof Table]: Table[Name]["schema"] };
}

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

/** What no single variable shows. Read from the text, so it is reported beside malformed values. */
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

function toConfig(values: z.output<typeof Environment>): Config {
  const named = Object.entries(variables).flatMap(([name, { property }]) =>
    property === null ? [] : [[property, values[name as keyof Variables]]],
  );
  // fromEntries forgets which value belongs to which key; `Config` is computed from the same table.
  return Object.fromEntries(named) as Config;
}

function variable<const Property extends string | null, Schema extends z.ZodType>(
  property: Property,
  schema: Schema,
) {
  return { property, schema };
}

function orNull<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullable().default(null);
}

/** Separated by commas; unset: an empty list. */
function listOf<Schema extends z.ZodType<unknown, string>>(schema: Schema) {
  const parts = (text: string) => text.split(",").map((part) => part.trim());
  return z
    .string()
    .default("")
    .transform((text) => parts(text).filter((part) => part !== ""))
    .pipe(z.array(schema));
}

function wholeNumber(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= least && value <= most, message);
}

function httpUrl(example: string) {
  return z.string().refine(isHttpUrl, `must be a URL such as ${example}`);
}

function encryptionKey(message: string) {
  return z
    .string()
    .regex(/^[A-Za-z0-9+/]{43}=$/, message)
    .transform((text) => Buffer.from(text, "base64"));
}

function without(problemOf: (text: string) => string | null) {
  return z.string().check(({ value, issues }) => {
    const message = problemOf(value);
    if (message !== null) issues.push({ code: "custom", message, input: value });
  });
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

const encodeHint =
  "cannot be read: percent-encode special characters in user and password (# is %23, / is %2F, ? is %3F, % is %25, @ is %40, : is %3A)";

/** @returns what is wrong with a `postgres://` URL, without quoting what may be a password; null when it can be used. */
function databaseUrlProblem(text: string): string | null {
  // A user before no host means a socket, or the host of PGHOST; WHATWG's URL does not know that form.
  const url = parseUrl(text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, "$1localhost"));
  if (severalHosts(text)) {
    return "names several hosts, and one is used: name the primary, or a proxy that leads to it";
  }
  if (url === null)
    return isUrl(text) ? encodeHint : "must be a URL such as postgres://user:password@host:5432/fanmail";
  if (!["postgres:", "postgresql:"].includes(url.protocol))
    return "must be a URL such as postgres://user:password@host:5432/fanmail";
  return isTorn(url) ? encodeHint : null;
}

/** The same for a `redis://` or `rediss://` URL. */
function redisUrlProblem(text: string): string | null {
  const url = parseUrl(text);
  if (url === null && isUrl(text)) return encodeHint;
  if (url === null || !["redis:", "rediss:"].includes(url.protocol))
    return "must be a URL such as redis://127.0.0.1:6379";
  return isTorn(url) ? encodeHint : null;
}

function isUrl(text: string): boolean {
  return /^(postgres(ql)?|rediss?):\/\/./.test(text);
}

/** Whether a raw delimiter in a password has ended what should be the host, or a raw % stands before what is no code. */
function isTorn({ hash, pathname, search, username, password }: URL): boolean {
  const isSplit = hash !== "" || pathname.includes("@") || /^\?[^=]*@/.test(search);
  return isSplit || /%(?![0-9a-f]{2})/i.test(username + password);
}

function severalHosts(text: string): boolean {
  const hosts = /^\w+:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(text)?.[1] ?? "";
  const query = /[?&]host=([^&]*)/.exec(text)?.[1] ?? "";
  return /,|%2c/i.test(hosts) || /,|%2c/i.test(query);
}
