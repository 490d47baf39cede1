import type { Context } from "../src/context.ts";
import { isSilent, silentSeconds } from "../src/domain/topic-silence.ts";
import { listHeardTopics } from "../src/storage/topics.ts";

/** Looks at all topics once. */
export type TopicWatch = () => Promise<void>;

/**
 * Tells, once for each change, that a topic says nothing for longer than it is used to, and that it speaks again: a
 * subscription that was deleted or a configuration set that lost its destination shows in nothing else. Every process
 * that works tells it.
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
