import { isQueueArn } from "../domain/arn.ts";
import { rawTokenSource } from "../domain/mail/raw-notification.ts";
import { isTopicArn } from "../domain/mail/sns-message.ts";
import { isSilent } from "../domain/topic-silence.ts";
import type { Database } from "../storage/database.ts";
import type { Project } from "../storage/projects.ts";
import { deleteTopic, insertTopic, listHeardTopics, listTopics, type Topic } from "../storage/topics.ts";
import { type Command, print, printJson, readAction, table, UsageError } from "./command.ts";
import { making, projectNamed, readStored, withStore } from "./with-store.ts";

export const topics: Command = {
  help: [
    "npx fanmail topics add <topic ARN> [--project default]",
    "npx fanmail topics list [--json]",
    "npx fanmail topics remove <topic ARN>",
    "",
    "A service that runs follows within seconds. Notifications of other topics are refused. A queue that gets raw",
    "deliveries is named by its own ARN; those of SQS_QUEUE_URLS are of the default project unless they were added.",
    "What is posted with SNS_RAW_TOKEN and names no topic, as by EventBridge, is listed as SNS_RAW_TOKEN.",
  ].join("\n"),
  async run(args) {
    const { action, target, values } = readAction(args, options, {
      add: { target: "<topic ARN>", options: ["project"] },
      list: { options: ["json"] },
      remove: { target: "<topic ARN>", options: [] },
    });
    if (action === "add") await add(target, values.project);
    else if (action === "list") await list(values.json);
    else await remove(target);
    return 0;
  },
};

const options = {
  project: { type: "string", default: "default" },
  json: { type: "boolean", default: false },
} as const;

async function add(arn: string, projectName: string): Promise<void> {
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
 * Whether a project has a topic.
 * @throws UsageError when another project has it.
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

async function list(asJson: boolean): Promise<void> {
  const rows = await readStored(({ db }) => heardTopics(db));
  if (asJson) return printJson(rows);
  const lines = rows.map((topic) => [
    topic.arn,
    topic.subscription_state,
    lastNotification(topic),
    topic.subscription_error ?? "",
  ]);
  for (const line of table([["TOPIC", "SUBSCRIPTION", "LAST NOTIFICATION", ""], ...lines])) print(line);
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

async function remove(arn: string): Promise<void> {
  const isRemoved = await withStore(({ db }) => deleteTopic(db, arn));
  if (!isRemoved) throw new UsageError(`"${arn}" is not allow-listed`);
  print(`Removed ${arn}. What came from it stays.`);
}
