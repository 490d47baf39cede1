import { parseArn, queueRegion } from "../../../domain/arn.ts";
import { ended } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type ConfigurationFact = FactOf<"configuration">;

// `isUnused` is only read where there is no source: no topic, no queue, and no token for EventBridge.
const hasNoSource = ({ isUnused }: ConfigurationFact) => isUnused !== null;
const hasLocalCertificates = ({ localCertificates }: ConfigurationFact) => localCertificates.size > 0;

function isOutOfReach({ host, topicArns, sqsQueueUrls }: ConfigurationFact): boolean {
  const isLoopback = /^(127\.|::1$|localhost$)/.test(host);
  return isLoopback && topicArns.length > 0 && sqsQueueUrls.length === 0;
}

/** Topics and queues in another region than AWS_REGION. With a global endpoint of SES, topics of several regions are normal. */
function elsewhere({ awsRegion, topicArns, sqsQueueUrls }: ConfigurationFact) {
  if (awsRegion === null) return [];
  const topics = topicArns.map((arn) => ({
    awsRegion,
    what: `the topic ${arn}`,
    region: parseArn(arn).region,
  }));
  const queues = sqsQueueUrls.flatMap((url) => {
    const region = queueRegion(url);
    return region === null ? [] : [{ awsRegion, what: `the queue ${url}`, region }];
  });
  const topicRegions = topics.map(({ region }) => region);
  const odd = [
    ...(topicRegions.includes(awsRegion) ? [] : topics),
    ...queues.filter(({ region }) => !topicRegions.includes(region)),
  ];
  return odd.filter(({ region }) => region !== awsRegion);
}

const noSource = {
  area: "configuration",
  remedy:
    "npx fanmail ses connect --configuration-set <name> --https https://<host>/ingest/sns --region <region> sets up all of it; or allow a topic with npx fanmail topics add <topic ARN> or SNS_TOPIC_ARNS, or name a queue in SQS_QUEUE_URLS.",
} as const;

const noApiKey = {
  area: "configuration",
  remedy: "Make one: npx fanmail keys create --name my-app --scopes activity:read.",
} as const;

export const configurationRules = [
  rule("misconfigured", {
    code: "variable-wrong",
    area: "configuration",
    level: "fail",
    when: (fact) => fact,
    say: ({ problem }) => `${problem}.`,
    remedy: "Correct the variable in the environment of fanmail, or unset it.",
  }),
  rule("unreadable-keys", {
    code: "encryption-key-unreadable",
    area: "configuration",
    level: "fail",
    when: (fact) => fact,
    say: ({ reason }) => `The encryption key cannot be read: ${ended(reason)}`,
    remedy: "Restore it from a backup.",
  }),
  rule("configuration", {
    ...noSource,
    code: "source-none-yet",
    level: "next",
    when: ({ isUnused }) => isUnused === true,
    say: "No topic is allow-listed and no queue is configured yet.",
  }),
  rule("configuration", {
    ...noSource,
    code: "source-none",
    level: "fail",
    when: ({ isUnused }) => isUnused === false,
    say: "No topic is allow-listed and no queue is configured, so every notification is refused.",
  }),
  rule("configuration", {
    code: "region-other",
    area: "configuration",
    level: "warn",
    when: elsewhere,
    say: ({ awsRegion, what, region }) => `AWS_REGION is ${awsRegion}, but ${what} is in ${region}.`,
    remedy: ({ awsRegion, region }) =>
      `Set AWS_REGION=${region}, or name the topic or queue of ${awsRegion}: SES publishes only to topics of the region that it sends from.`,
  }),
  rule("configuration", {
    code: "local-certificates",
    area: "configuration",
    level: "warn",
    when: hasLocalCertificates,
    say: "SNS_LOCAL_CERTS is set, so messages signed with a local key are accepted as well as those of AWS.",
    remedy: "Unset SNS_LOCAL_CERTS where real notifications arrive.",
  }),
  rule("configuration", {
    code: "host-loopback",
    area: "configuration",
    level: "warn",
    when: (fact) => isOutOfReach(fact) && fact,
    say: ({ host, port }) =>
      `HOST is ${host}: only a proxy on this machine can forward what SNS posts to port ${port}.`,
    remedy: "Set HOST=0.0.0.0 when the proxy or load balancer is on another machine or in another container.",
  }),
  rule("configuration", {
    code: "configuration-well-formed",
    area: "configuration",
    level: "ok",
    when: (fact) =>
      !hasNoSource(fact) &&
      elsewhere(fact).length === 0 &&
      !hasLocalCertificates(fact) &&
      !isOutOfReach(fact),
    say: "The configuration is well formed.",
  }),
  rule("bootstrap-key", {
    code: "bootstrap-key-revoked",
    area: "configuration",
    level: "warn",
    when: ({ revokedAt }) => revokedAt !== null && { at: revokedAt.toISOString() },
    say: ({ at }) => `BOOTSTRAP_API_KEY was revoked at ${at} and is refused.`,
    remedy: "Make another key with npx fanmail keys create, and unset BOOTSTRAP_API_KEY.",
  }),
  rule("bootstrap-key", {
    code: "bootstrap-key",
    area: "configuration",
    level: "warn",
    when: ({ revokedAt }) => revokedAt === null,
    say: "BOOTSTRAP_API_KEY is set: a key with all scopes, and anyone who reads the environment can use it.",
    remedy:
      "Make keys with the scopes that are needed (npx fanmail keys create --scopes activity:read), then revoke this one and unset BOOTSTRAP_API_KEY.",
  }),
  rule("api-keys", {
    code: "api-keys",
    area: "configuration",
    level: "ok",
    when: (fact) => fact.valid > 0 && fact,
    say: ({ valid }) => `Valid API keys: ${valid}.`,
  }),
  rule("api-keys", {
    ...noApiKey,
    code: "api-keys-none-yet",
    level: "next",
    when: ({ stored }) => stored === 0,
    say: "There is no API key yet.",
  }),
  rule("api-keys", {
    ...noApiKey,
    code: "api-keys-none-valid",
    level: "warn",
    when: ({ stored, valid }) => stored > 0 && valid === 0,
    say: "There is no valid API key, so the API answers 401 to every request.",
  }),
];
