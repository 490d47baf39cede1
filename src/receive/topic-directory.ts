import { UnavailableError } from "../domain/errors.ts";
import type { Topic } from "../storage/topics.ts";

/** The allow-list of topics, kept in memory. */
export type TopicDirectory = {
  /**
   * Returns no promise for a known topic.
   * @returns null when the topic is not allow-listed.
   * @throws UnavailableError when the list cannot be read now.
   */
  find(arn: string): Topic | null | Promise<Topic | null>;
};

/** Removed topics are refused, and added ones accepted, within this time. */
const freshMs = 2_000;
/** Bounds the queries that messages from unknown topics cause. */
const missedReloadMs = 500;

/** @param load reads the whole list; it is small. */
export function createTopicDirectory(load: () => Promise<Topic[]>, now: () => Date): TopicDirectory {
  let topics = new Map<string, Topic>();
  let loadedAtMs = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  function reload(): Promise<void> {
    loading ??= load()
      .then((rows) => {
        topics = new Map(rows.map((row) => [row.arn, row]));
        loadedAtMs = now().getTime();
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  }

  async function reloadAndFind(arn: string): Promise<Topic | null> {
    try {
      await reload();
    } catch (cause) {
      const known = topics.get(arn);
      // While the database is away a known topic stays known; the commit decides about the message.
      if (known) return known;
      throw new UnavailableError("The list of topics cannot be read now", { cause });
    }
    return topics.get(arn) ?? null;
  }

  return {
    find(arn) {
      const ageMs = now().getTime() - loadedAtMs;
      const topic = topics.get(arn);
      if (ageMs < (topic ? freshMs : missedReloadMs)) return topic ?? null;
      return reloadAndFind(arn);
    },
  };
}
