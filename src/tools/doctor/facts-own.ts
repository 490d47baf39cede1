import type { Config } from "../../config.ts";
import { apiKeyHash } from "../../domain/api-key.ts";
import { firstIdAt } from "../../domain/computed-id.ts";
import { dayMs } from "../../domain/time-text.ts";
import type { QueueHealth } from "../../queue/backend.ts";
import { chooseBackend } from "../../queue/queues.ts";
import { latestStatuses, type StatusRow } from "../../storage/account-statuses.ts";
import { findApiKeys, listApiKeys } from "../../storage/api-keys.ts";
import type { Database } from "../../storage/database.ts";
import type { HeardTopic } from "../../storage/topics.ts";
import { endpointTotals } from "../../storage/webhooks/lanes.ts";
import { boundToHeadersOf, createSecretBox, type SecretBox } from "../../webhooks/secret-box.ts";
import {
  type DatabaseFact,
  databaseReadings,
  isTopic,
  reading,
  type Store,
  type Stored,
  topicArns,
} from "./facts-database.ts";
import {
  type Backlog,
  batchBacklog,
  type DisabledHealth,
  disabledEndpoints,
  isUnused,
  type LaneHealth,
  lanesBehind,
  quarantinedSince,
  type SealedHealth,
  sealedInUse,
} from "./health.sql.ts";
import type { Patient, UnreadableKeysFact } from "./patient.ts";
import { once, type Reading, type UnaskedFact } from "./reading.ts";
import { hostOf } from "./wording.ts";

export type OwnFact =
  | UnreadableKeysFact
  /** A variable of the environment is wrong. */
  | { kind: "misconfigured"; problem: string }
  | ConfigurationFact
  | { kind: "bootstrap-key"; revokedAt: Date | null }
  | { kind: "api-keys"; stored: number; valid: number }
  | QueueHealth
  | ({ kind: "backlog" } & Backlog)
  | ({ kind: "failed-batches" } & Backlog)
  | { kind: "stored-topics"; count: number }
  | ({ kind: "stored-topic" } & HeardTopic)
  | { kind: "account-statuses"; newest: Date; troubles: number }
  | ({ kind: "account-status" } & Omit<StatusRow, "kind">)
  | { kind: "quarantine"; reasons: { reason: string; count: number }[] }
  | { kind: "endpoints"; enabled: number; disabled: number; lanes: LaneFact[] }
  | LaneFact
  | ({ kind: "disabled-endpoint" } & DisabledHealth)
  | { kind: "sealed-parts"; closed: { endpoint: string; reason: string }[] };

type ConfigurationFact = Pick<
  Config,
  "awsRegion" | "sqsQueueUrls" | "snsRawTokens" | "localCertificates" | "host" | "port"
> & {
  kind: "configuration";
  /** Those that are allow-listed, in the database or in the environment. */
  topicArns: readonly string[];
  /** Whether nothing has arrived yet; null when there are sources, or the topics cannot be read. */
  isUnused: boolean | null;
};

type LaneFact = LaneHealth & { kind: "lane"; failing_seconds: number };

/** Fanmail's own parts: configuration, database, queue, journal, webhooks. */
export async function ownReadings(
  patient: Patient,
  stored: Stored,
): Promise<Reading<OwnFact | DatabaseFact | UnaskedFact>[]> {
  const { config, clock, encryptionKeys } = patient;
  const { store } = stored;
  const now = clock.now();
  const { server, tables, clock: clockOfDatabase } = databaseReadings(patient, stored, now);
  const backlog = once(async () => ("db" in store ? batchBacklog(store.db, yesterdayId(now)) : null));
  const keys = encryptionKeys !== null && "kind" in encryptionKeys ? null : encryptionKeys;
  return [
    configurationReading(config, topicArns(patient, stored), withTopics(stored)),
    apiKeysReading(config, store),
    server,
    tables,
    ...(await queueReadings(patient, stored)),
    reading(store, "queue", "what waits for workers", () => backlogFacts("backlog", backlog)),
    clockOfDatabase,
    reading(store, "topics", "the topics", () => storedTopicFacts(stored)),
    reading(store, "ses", "what SES says of the account", accountStatusFacts),
    reading(store, "journal", "the quarantine", (db) => quarantineFacts(db, now)),
    reading(store, "journal", "failed batches", () => backlogFacts("failed-batches", backlog)),
    reading(store, "webhooks", "the webhook endpoints", (db) => endpointFacts(db, now)),
    reading(store, "webhooks", "their secrets", (db) => sealedFacts(db, keys)),
  ];
}

function withTopics({ store, topics }: Stored): Store {
  return topics instanceof Error ? { unreadable: topics.message } : store;
}

function configurationReading(config: Config, arns: string[], store: Store): Reading<OwnFact> {
  const isAsked =
    arns.length + config.sqsQueueUrls.length + config.snsRawTokens.length === 0 && "db" in store;
  const { awsRegion, sqsQueueUrls, snsRawTokens, localCertificates, host, port } = config;
  const settings = { awsRegion, sqsQueueUrls, snsRawTokens, localCertificates, host, port };
  return {
    area: "configuration",
    subject: "the configuration",
    read: async () => [
      {
        kind: "configuration",
        ...settings,
        topicArns: arns,
        isUnused: isAsked ? await isUnused(store.db) : null,
      },
    ],
  };
}

function apiKeysReading({ bootstrapApiKey }: Config, store: Store): Reading<OwnFact> {
  return {
    area: "configuration",
    subject: "the API keys",
    async read() {
      if ("unreadable" in store) return [];
      if (bootstrapApiKey !== null) {
        const [stored] = await findApiKeys(store.db, [apiKeyHash(bootstrapApiKey)]);
        return [{ kind: "bootstrap-key", revokedAt: stored?.revoked_at ?? null }];
      }
      const keys = await listApiKeys(store.db);
      const valid = keys.filter(({ revoked_at }) => revoked_at === null).length;
      return [{ kind: "api-keys", stored: keys.length, valid }];
    },
  };
}

async function queueReadings({ config, timeoutMs }: Patient, { server: database }: Stored) {
  const { servers } = await chooseBackend(config.redisUrls);
  return servers.map((server) =>
    server.isDatabase
      ? reading(database, "queue", server.subject, async (db) => [await server.health(db)])
      : queueReading(server.subject, () => server.health(timeoutMs * 0.8)),
  );
}

function queueReading(subject: string, health: () => Promise<QueueHealth>): Reading<OwnFact> {
  return { area: "queue", subject, read: async () => [await health()] };
}

function yesterdayId(now: Date): string {
  return firstIdAt(now.getTime() - dayMs);
}

async function backlogFacts(
  kind: "backlog" | "failed-batches",
  read: () => Promise<Backlog | null>,
): Promise<OwnFact[]> {
  return [{ kind, ...((await read()) ?? noBacklog) }];
}

const noBacklog = {
  waiting: 0,
  oldest_seconds: 0,
  is_moving: false,
  failing: 0,
  attempts: 0,
  last_error: null,
};

function storedTopicFacts({ topics }: Stored): OwnFact[] {
  if (topics instanceof Error) throw topics;
  const found = topics.filter(({ arn }) => isTopic(arn));
  return [
    { kind: "stored-topics", count: found.length },
    ...found.map((topic): OwnFact => ({ kind: "stored-topic", ...topic })),
  ];
}

const statusesAtMost = 1_000;
const troublesAtMost = 20;

/** What SES has reported through EventBridge about the account and its tenants. */
async function accountStatusFacts(db: Database): Promise<OwnFact[]> {
  const latest = await latestStatuses(db, null, statusesAtMost);
  const newest = latest[0]?.occurred_at;
  if (newest === undefined) return [];
  const troubles = latest.filter(({ status }) => status === "disabled" || status === "open");
  return [
    { kind: "account-statuses", newest, troubles: troubles.length },
    ...troubles.slice(0, troublesAtMost).map((one): OwnFact => ({ ...one, kind: "account-status" })),
  ];
}

async function quarantineFacts(db: Database, now: Date): Promise<OwnFact[]> {
  return [{ kind: "quarantine", reasons: await quarantinedSince(db, firstIdAt(now.getTime() - 7 * dayMs)) }];
}

/** More than anyone reads. */
const endpointsAtMost = 20;
const sealedAtMost = 10_000;

async function endpointFacts(db: Database, now: Date): Promise<OwnFact[]> {
  const [{ enabled }, behind, disabled] = await Promise.all([
    endpointTotals(db),
    lanesBehind(db, endpointsAtMost),
    disabledEndpoints(db, endpointsAtMost),
  ]);
  const lanes = behind.map((lane): LaneFact => {
    const since = lane.failing_since?.getTime() ?? now.getTime();
    return { kind: "lane", ...lane, failing_seconds: (now.getTime() - since) / 1000 };
  });
  return [
    { kind: "endpoints", enabled, disabled: disabled.length, lanes },
    ...lanes,
    ...disabled.map((endpoint): OwnFact => ({ kind: "disabled-endpoint", ...endpoint })),
  ];
}

/** Whether secrets and headers can be decrypted. @param keys null when there is none yet. */
async function sealedFacts(db: Database, keys: readonly Buffer[] | null): Promise<OwnFact[]> {
  const sealed = await sealedInUse(db, sealedAtMost);
  if (sealed.length === 0) return [];
  const box = keys === null || keys.length === 0 ? null : createSecretBox(keys);
  const closed = new Map<string, { endpoint: string; reason: string }>();
  for (const part of sealed) {
    const reason = reasonClosed(box, part);
    const endpoint = `${part.endpoint_id} (${hostOf(part.url)})`;
    if (reason !== null) closed.set(endpoint, { endpoint, reason });
  }
  return [{ kind: "sealed-parts", closed: [...closed.values()] }];
}

function reasonClosed(box: SecretBox | null, { endpoint_id, kind, sealed }: SealedHealth): string | null {
  if (box === null) return "There is no encryption key";
  try {
    box.open(sealed, kind === "secret" ? endpoint_id : boundToHeadersOf(endpoint_id));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
