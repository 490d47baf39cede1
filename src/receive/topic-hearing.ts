import { triggerTopic } from "../domain/mail/sns-message.ts";
import { afterHearing, type Hearing } from "../domain/topic-silence.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Database } from "../storage/database.ts";
import { type HeardTopic, listHeardTopics, writeHearing } from "../storage/topics.ts";

/** Notes that topics have spoken. Never rejects: that a note is lost is found out by the next one. */
export type TopicHearing = (topicIds: Iterable<string>) => Promise<void>;

/** Of each topic and process. What is known of a topic is as old as this at most. */
const noteEveryMs = 10_000;

export function createTopicHearing(db: Database, now: () => Date, log: Logger): TopicHearing {
  const notedAtMs = new Map<string, number>();
  return async (topicIds) => {
    const nowMs = now().getTime();
    const due = [...topicIds].filter((id) => nowMs - (notedAtMs.get(id) ?? 0) >= noteEveryMs);
    if (due.length === 0) return;
    for (const id of due) notedAtMs.set(id, nowMs);
    await note(db, due).catch((error: unknown) => {
      log.warn({ cause: errorText(error) }, "topics not noted");
    });
  };
}

async function note(db: Database, topicIds: readonly string[]): Promise<void> {
  const known = await listHeardTopics(db, topicIds);
  await writeHearing(
    db,
    known.map((topic) => ({ id: topic.id, known: topic, heard: heardOf(topic) })),
  );
}

/** Nobody waits for what `fanmail trigger` posts: its topic never gets habits that it could fall silent against. */
function heardOf(topic: HeardTopic): Hearing {
  const heard = afterHearing(topic, topic.now);
  return topic.arn === triggerTopic ? { ...heard, heard_since: null } : heard;
}
