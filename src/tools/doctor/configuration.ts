import type { Config } from "../../config.ts";
import { apiKeyHash } from "../../domain/api-key.ts";
import { parseArn, queueRegion } from "../../domain/arn.ts";
import { findApiKeys, listApiKeys } from "../../storage/api-keys.ts";
import type { Database } from "../../storage/database.ts";
import { fail, next, type Observation, ok, type Store, warn } from "./check.ts";
import { isUnused } from "./health.sql.ts";

/**
 * @param topicArns those that are allow-listed, wherever that is written.
 * @param store unreadable also where the topics of the database cannot be read now.
 */
export async function lookAtConfiguration(
  config: Config,
  topicArns: readonly string[],
  store: Store,
): Promise<Observation[]> {
  const found = [
    ...("db" in store ? await sources(config, topicArns, store.db) : []),
    ...regions(config, topicArns),
    ...localCertificates(config),
    ...address(config, topicArns),
  ];
  return found.length > 0 ? found : [ok("The configuration is well formed.")];
}

async function sources(
  { sqsQueueUrls, snsRawTokens }: Config,
  topicArns: readonly string[],
  db: Database,
): Promise<Observation[]> {
  // With the token an API destination of EventBridge needs no topic.
  if (topicArns.length + sqsQueueUrls.length + snsRawTokens.length > 0) return [];
  const what = "No topic is allow-listed and no queue is configured";
  const remedy =
    "npx fanmail ses connect --configuration-set <name> --https https://<host>/ingest/sns --region <region> sets up all of it; or allow a topic with npx fanmail topics add <topic ARN> or SNS_TOPIC_ARNS, or name a queue in SQS_QUEUE_URLS.";
  if (await isUnused(db)) return [next(`${what} yet.`, remedy)];
  return [fail(`${what}, so that every notification is refused.`, remedy)];
}

/** Topics of several regions are as they should be with a global endpoint of SES. */
function regions({ awsRegion, sqsQueueUrls }: Config, topicArns: readonly string[]): Observation[] {
  if (awsRegion === null) return [];
  const topics = topicArns.map((arn) => [`the topic ${arn}`, parseArn(arn).region] as const);
  const queues: (readonly [string, string | null])[] = sqsQueueUrls.map(
    (url) => [`the queue ${url}`, queueRegion(url)] as const,
  );
  const topicRegions = topics.map(([, region]) => region);
  const odd = [
    ...(topicRegions.includes(awsRegion) ? [] : topics),
    ...queues.filter(([, region]) => region !== null && !topicRegions.includes(region)),
  ].filter(([, region]) => region !== null && region !== awsRegion);
  return odd.map(([what, region]) =>
    warn(
      `AWS_REGION is ${awsRegion}, but ${what} is in ${region}.`,
      `Set AWS_REGION=${region}, or name the topic or queue of ${awsRegion}: SES publishes only to topics of the region that it sends from.`,
    ),
  );
}

function localCertificates(config: Config): Observation[] {
  if (config.localCertificates.size === 0) return [];
  return [
    warn(
      "SNS_LOCAL_CERTS is set, so that messages signed with a local key are accepted beside those of AWS.",
      "Unset SNS_LOCAL_CERTS where real notifications arrive.",
    ),
  ];
}

function address({ host, port, sqsQueueUrls }: Config, topicArns: readonly string[]): Observation[] {
  const isLoopback = /^(127\.|::1$|localhost$)/.test(host);
  if (!isLoopback || topicArns.length === 0 || sqsQueueUrls.length > 0) return [];
  return [
    warn(
      `HOST is ${host}: only a proxy on this machine can hand on to port ${port} what SNS posts.`,
      "Set HOST=0.0.0.0 when the proxy or load balancer is on another machine or in another container.",
    ),
  ];
}

/** Whether anybody can ask the API. */
export async function lookAtApiKeys(config: Config, store: Store): Promise<Observation[]> {
  if ("unreadable" in store) return [];
  const bootstrap = config.bootstrapApiKey;
  if (bootstrap !== null) {
    const [stored] = await findApiKeys(store.db, [apiKeyHash(bootstrap)]);
    return [bootstrapKey(stored?.revoked_at ?? null)];
  }
  const keys = await listApiKeys(store.db);
  const valid = keys.filter(({ revoked_at }) => revoked_at === null);
  if (valid.length > 0) return [ok(`API keys that are valid: ${valid.length}.`)];
  const remedy = "Make one: npx fanmail keys create --name my-app --scopes activity:read.";
  if (keys.length === 0) return [next("There is no API key yet.", remedy)];
  return [warn("There is no valid API key, so that the API answers 401 to everybody.", remedy)];
}

function bootstrapKey(revokedAt: Date | null): Observation {
  if (revokedAt !== null) {
    return warn(
      `BOOTSTRAP_API_KEY was revoked at ${revokedAt.toISOString()} and is refused.`,
      "Make another key with npx fanmail keys create, and unset BOOTSTRAP_API_KEY.",
    );
  }
  return warn(
    "BOOTSTRAP_API_KEY is set: a key with all scopes that whoever reads the environment can use.",
    "Make keys with the scopes that are needed (npx fanmail keys create --scopes activity:read), then revoke this one and unset BOOTSTRAP_API_KEY.",
  );
}
