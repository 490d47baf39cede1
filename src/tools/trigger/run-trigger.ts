import { pause } from "../../clock.ts";
import type { StoreContext } from "../../context.ts";
import { triggerTopic } from "../../domain/mail/sns-message.ts";
import { timeOfMessageId } from "../../domain/time-text.ts";
import { suppressionAddedId } from "../../domain/webhooks/event.ts";
import { owedDeliveryId } from "../../domain/webhooks/owed.ts";
import type { Project } from "../../storage/projects.ts";
import { insertTopic, listTopics } from "../../storage/topics.ts";
import { listEndpoints } from "../../storage/webhooks/endpoints.ts";
import type { LocalSigner } from "../captures/local-signer.ts";
import { type Posting, postNotifications, type ReplayCounts } from "../captures/post-notifications.ts";
import {
  appliedMessages,
  type OutcomeDelivery,
  type OutcomeEvent,
  type OutcomeRow,
  outcomeOfDeliveries,
  outcomeOfMessages,
} from "./message-outcome.sql.ts";
import { type ExampleType, exampleMessageId, exampleNotification } from "./notification.ts";

export type TriggerOptions = {
  type: ExampleType;
  recipients: readonly string[];
  /** How many emails. */
  count: number;
  isMachine: boolean;
  /** The id of an email that was triggered before; null: new emails. */
  messageId: string | null;
  /** The receiver's address. */
  url: string;
  project: Project;
  signer: LocalSigner;
  stopping: AbortSignal;
};

/** The result. @property quarantined the reasons of notifications that cannot be applied. */
export type TriggerOutcome = {
  counts: ReplayCounts;
  messageIds: string[];
  /** How many of the stored ones are applied. */
  applied: number;
  quarantined: string[];
  rows: (OutcomeRow & { events: (OutcomeEvent & { deliveries: OutcomeDelivery[] })[] })[];
};

/** How long before the event the email was sent; an open seconds after the delivery would look like a machine's. */
const sentBeforeMs = 60_000;
const giveUpAfterMs = 5_000;
const settleMs = 10_000;
const lookEveryMs = 100;

/** Posts notifications as SNS would, and waits until they are applied and delivered. */
export async function runTrigger(store: StoreContext, options: TriggerOptions): Promise<TriggerOutcome> {
  const topic = await allowTriggers(store, options.project);
  const now = store.clock.now();
  const emails = Array.from({ length: options.count }, () => anEmail(store, options, now));
  const counts = await postNotifications(inTurn(emails.map(({ posting }) => posting)), {
    url: options.url,
    schedule: null,
    giveUpAfterMs,
    stopping: options.stopping,
    onSettled() {},
  });
  const snsMessageIds = emails.map(({ snsMessageId }) => snsMessageId);
  const look = () => appliedMessages(store.db, topic, snsMessageIds, new Date(now.getTime() - 1_000));
  const settled = await untilSettled(look, ({ applied }) => applied >= counts.stored, options.stopping);
  const messageIds = [...new Set(emails.map(({ messageId }) => messageId))];
  const seeOutcome = () => outcomeOf(store, options.project, messageIds);
  const rows = await untilSettled(seeOutcome, isDelivered, options.stopping);
  return { counts, messageIds, ...settled, rows };
}

/** @throws Error if the topic belongs to another project. */
async function allowTriggers({ db, clock }: StoreContext, project: Project) {
  await insertTopic(db, { project_id: project.id, id: clock.newId(), arn: triggerTopic });
  const topic = (await listTopics(db)).find(({ arn }) => arn === triggerTopic);
  if (topic?.project_id === project.id) return topic;
  throw new Error(
    `Triggers belong to another project; to have them in this one: npx fanmail topics remove ${triggerTopic}`,
  );
}

function anEmail({ clock }: StoreContext, options: TriggerOptions, now: Date) {
  const known = options.messageId === null ? null : timeOfMessageId(options.messageId);
  const sentAt = known ?? new Date(now.getTime() - sentBeforeMs);
  const messageId = options.messageId ?? exampleMessageId(sentAt, clock.newId());
  const snsMessageId = clock.newId();
  const example = { ...options, messageId, sentAt, now, feedbackId: exampleMessageId(now, clock.newId()) };
  const message = `${JSON.stringify(exampleNotification(options.type, example))}\n`;
  const signed = { topicArn: triggerTopic, messageId: snsMessageId, publishedAt: now, message };
  const posting: Posting = {
    topicArn: triggerTopic,
    publishedAt: now,
    isSignedHere: true,
    body: () => options.signer.sign(signed),
  };
  return { messageId, snsMessageId, posting };
}

async function* inTurn<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

async function outcomeOf({ db }: StoreContext, { id: projectId }: Project, messageIds: readonly string[]) {
  const { rows, events } = await outcomeOfMessages(db, projectId, messageIds);
  const endpoints = await listEndpoints(db, [projectId]);
  const owed = new Map(
    events.flatMap((event) =>
      [event.id, suppressionAddedId(event)].flatMap((id) =>
        endpoints.map((endpoint) => [owedDeliveryId(endpoint.id, id), event.id] as const),
      ),
    ),
  );
  const deliveries = await outcomeOfDeliveries(db, projectId, [...owed.keys()]);
  return rows.map((row) => ({
    ...row,
    events: events
      .filter(({ owner_id }) => owner_id === row.id)
      .map((event) => ({ ...event, deliveries: deliveries.filter(({ id }) => owed.get(id) === event.id) })),
  }));
}

function isDelivered(rows: TriggerOutcome["rows"]): boolean {
  const deliveries = rows.flatMap(({ events }) => events).flatMap((event) => event.deliveries);
  return deliveries.every(({ state, attempts }) => attempts > 0 || !["pending", "leased"].includes(state));
}

/** @returns the last result, even if it has not settled in time. */
async function untilSettled<Seen>(
  look: () => Promise<Seen>,
  isSettled: (seen: Seen) => boolean,
  stopping: AbortSignal,
): Promise<Seen> {
  const untilMs = performance.now() + settleMs;
  for (;;) {
    const seen = await look();
    if (isSettled(seen) || stopping.aborted || performance.now() > untilMs) return seen;
    await pause(lookEveryMs, stopping);
  }
}
