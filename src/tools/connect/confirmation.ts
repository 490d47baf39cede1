import { setTimeout as sleep } from "node:timers/promises";
import { ifPresent, type Reader } from "../../aws/reader.ts";
import type { Target } from "../../aws/ses-connection.ts";
import type { StoreContext } from "../../context.ts";
import type { Project } from "../../storage/projects.ts";
import { insertTopic, listTopics } from "../../storage/topics.ts";

/** Receivers look up a topic that they do not know at most every half second. */
const noticedMs = 600;
const askEveryMs = 1_000;

/** Allow-lists a topic, and gives the receivers time to notice it. */
export async function allowTopic({ db, clock }: StoreContext, project: Project, arn: string): Promise<void> {
  await insertTopic(db, { project_id: project.id, id: clock.newId(), arn });
  // SNS does not ask again when a receiver that does not know the topic yet refuses to confirm.
  await sleep(noticedMs);
}

/**
 * Waits until SNS has confirmed a subscription.
 * @param onWait called with the seconds that have passed.
 * @returns whether it was confirmed in time.
 */
export async function waitForConfirmation(
  reader: Pick<Reader, "subscriptionAttributes">,
  subscriptionArn: string,
  waitSeconds: number,
  onWait: (seconds: number) => void,
): Promise<boolean> {
  for (let waitedMs = 0; ; waitedMs += askEveryMs) {
    const attributes = await ifPresent(reader.subscriptionAttributes(subscriptionArn));
    if (attributes !== null && attributes["PendingConfirmation"] !== "true") return true;
    if (waitedMs >= waitSeconds * 1000) return false;
    onWait(waitedMs / 1000);
    await sleep(askEveryMs);
  }
}

/** What to check when a subscription was not confirmed: lines of text. */
export async function explainUnconfirmed(
  { db }: StoreContext,
  topicArn: string,
  target: Target | null,
): Promise<string[]> {
  const topic = (await listTopics(db)).find(({ arn }) => arn === topicArn);
  if (topic?.subscription_state === "confirmation_failed")
    return [`Fanmail got SNS's message and could not confirm it: ${topic.subscription_error}`];
  return [
    `Fanmail has not got SNS's message. Check that ${target?.kind === "https" ? target.url : "the queue"}`,
    "  can be reached from the internet, with a publicly trusted certificate and no redirect,",
    "  leads to /ingest/sns of a Fanmail that runs (its log says what it refused),",
    "  and that this Fanmail uses the same database as this command.",
  ];
}
