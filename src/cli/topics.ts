import { isQueueArn } from "../domain/arn.ts";
import { rawTokenSource } from "../domain/mail/raw-notification.ts";
import { isTopicArn } from "../domain/mail/sns-message.ts";
import { isSilent } from "../domain/topic-silence.ts";
import type { Database } from "../storage/database.ts";
import type { Project } from "../storage/projects.ts";
import { deleteTopic, insertTopic, listHeardTopics, listTopics, type Topic } from "../storage/topics.ts";
import { commandWithActions, print, printList, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

export const topics = commandWithActions(
  [
    "npx fanmail topics add <topic ARN> [--project default]",
    "npx fanmail topics list [--json]",
    "npx fanmail topics remove <topic ARN>",
    "",
    "A running service notices changes within seconds. Notifications from other topics are refused. An SQS queue that",
    "gets raw deliveries is added by its own ARN; those in SQS_QUEUE_URLS belong to the default project unless they were",
    "added. Requests with SNS_RAW_TOKEN that name no topic, as from EventBridge, are listed as SNS_RAW_TOKEN.",
  ].join("\n"),
  {
    project: { type: "string", default: "default" },
    json: { type: "boolean", default: false },
  },
  {
    add: { target: "<topic ARN>", options: ["project"], run: add },
    list: { options: ["json"], run: list },
    remove: { target: "<topic ARN>", options: [], run: remove },
  },
);

async function add({
  target: arn,
  project: projectName,
}: {
  target: string;
  project: string;
}): Promise<void> {
  if (!isTopicArn(arn) && !isQueueArn(arn) && arn !== rawTokenSource)
    throw new UsageError(`"${arn}" is not the ARN of an SNS topic`);
  await withStore(async (store) => {
    const project = await projectNamed(store, projectName);
    await insertTopic(store.db, { project_id: project.id, id: store.clock.newId(), arn });
    await isAllowedFor(store.db, project, arn);
  }, making);
  print(`Allowed ${arn}.`);
}

/**
 * True if the topic belongs to the project.
 * @throws UsageError if it belongs to another project.
 */
export async function isAllowedFor(
  db: Database,
  project: Pick<Project, "id">,
  arn: string,
): Promise<boolean> {
  const topic = (await listTopics(db)).find((one) => one.arn === arn);
  if (topic === undefined) return false;
  if (topic.project_id === project.id) return true;
  throw new UsageError(`${arn} belongs to another project; remove it there first: npx fanmail topics remove`);
}

async function list({ json }: { json: boolean }): Promise<void> {
  const rows = await readStored(({ db }) => heardTopics(db));
  printList(rows, json, ["TOPIC", "SUBSCRIPTION", "LAST NOTIFICATION", ""], (topic) => [
    topic.arn,
    topic.subscription_state,
    lastNotification(topic),
    topic.subscription_error ?? "",
  ]);
}

function lastNotification({ last_notification_at: last, silent }: ListedTopic): string {
  return last === null ? "never" : `${last.toISOString()}${silent ? " (silent)" : ""}`;
}

type ListedTopic = Topic & { last_notification_at: Date | null; silent: boolean };

async function heardTopics(db: Database): Promise<ListedTopic[]> {
  return (await listHeardTopics(db)).map(({ now, heard_since, usual_gap_seconds, ...topic }) => ({
    ...topic,
    silent: isSilent({ ...topic, heard_since, usual_gap_seconds }, now),
  }));
}

async function remove({ target: arn }: { target: string }): Promise<void> {
  const isRemoved = await withStore(({ db }) => deleteTopic(db, arn));
  if (!isRemoved) throw new UsageError(`"${arn}" is not allow-listed`);
  print(`Removed ${arn}. Its notifications are kept.`);
}
