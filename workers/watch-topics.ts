import type { Context } from "../src/context.ts";
import { isSilent, silentSeconds } from "../src/domain/topic-silence.ts";
import { listHeardTopics } from "../src/storage/topics.ts";

/** Checks all topics once. */
export type TopicWatch = () => Promise<void>;

/**
 * Logs once when a topic is silent for longer than usual, and once when it sends again: nothing else reveals a deleted
 * subscription or a configuration set that lost its destination. Every worker process logs it.
 */
export function createTopicWatch({ db, log }: Pick<Context, "db" | "log">): TopicWatch {
  let silentIds: ReadonlySet<string> = new Set();
  return async () => {
    const topics = await listHeardTopics(db);
    const silent = topics.filter((topic) => isSilent(topic, topic.now));
    const ids = new Set(silent.map(({ id }) => id));
    for (const topic of silent.filter(({ id }) => !silentIds.has(id))) {
      const seconds = Math.round(silentSeconds(topic, topic.now) ?? 0);
      log.warn({ topic: topic.arn, seconds }, "topic silent");
    }
    for (const topic of topics.filter(({ id }) => silentIds.has(id) && !ids.has(id))) {
      log.info({ topic: topic.arn }, "topic speaks again");
    }
    silentIds = ids;
  };
}
