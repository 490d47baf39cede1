import type { Database } from "./database.ts";

export type SubscriptionState = "unknown" | "confirmed" | "confirmation_failed" | "unsubscribed";

export type Topic = {
  project_id: string;
  id: string;
  arn: string;
  subscription_state: SubscriptionState;
  subscription_error: string | null;
};

const columns = "project_id, id, arn, subscription_state, subscription_error";

/** Allow-lists a topic. One that is allow-listed already stays with its project. */
export async function insertTopic(
  db: Database,
  topic: Pick<Topic, "project_id" | "id" | "arn">,
): Promise<void> {
  await db.query(
    "insert into topics (project_id, id, arn) values ($1, $2, $3) on conflict (arn) do nothing",
    [topic.project_id, topic.id, topic.arn],
  );
}

export async function listTopics(db: Database): Promise<Topic[]> {
  return db.query<Topic>(`select ${columns} from topics order by arn`);
}

/** @returns whether there was such a topic. Its notifications stay. */
export async function deleteTopic(db: Database, arn: string): Promise<boolean> {
  return (await db.query("delete from topics where arn = $1 returning id", [arn])).length > 0;
}

/** @param error why a confirmation failed; null otherwise. */
export async function setSubscriptionState(
  db: Database,
  topic: Pick<Topic, "project_id" | "id">,
  state: SubscriptionState,
  error: string | null = null,
): Promise<void> {
  await db.query(
    `update topics set subscription_state = $3, subscription_error = $4, subscription_changed_at = now()
     where project_id = $1 and id = $2`,
    [topic.project_id, topic.id, state, error],
  );
}
