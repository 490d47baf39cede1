import { randomUUID } from "node:crypto";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { type SesPayload, sesEvent, timeAfter } from "../support/ses.ts";

/** What was applied of a project, in the words of its tables. */
export type AppliedMail = {
  apply(...payloads: SesPayload[]): Promise<void>;
  /** The only activity. */
  activity(): Promise<Record<string, unknown> | undefined>;
  /** What was decided about the events of a type. */
  decided(type: string): Promise<object[]>;
  /** The bodies of webhooks of a type. */
  told(type: string): Promise<{ data: Record<string, unknown> }[]>;
  suppressions(): Promise<object[]>;
  /** The events that suppressions come from. */
  sources(): Promise<object[]>;
};

/** A test without workers: it applies batches itself. An endpoint is owed every event. */
export const test = projectTest({ roles: { receiver: false, workers: false } }).extend(
  "mail",
  async ({ project, database }) => {
    await database.db.query(
      `insert into webhook_endpoints (project_id, id, url, event_types)
       values ($1, $2, 'https://example.org/', '{*}')`,
      [project.id, randomUUID()],
    );
    return appliedMail(project);
  },
);

function appliedMail({ apply, select }: TestProject): AppliedMail {
  return {
    apply,
    activity: async () => (await select("select * from activity"))[0],
    decided: (type) =>
      select(
        `select discarded, detail ->> 'machine' as machine, (detail ->> 'reclassified')::boolean as reclassified
         from events where type = $1 order by occurred_at`,
        [type],
      ),
    async told(type) {
      const rows = await select<{ body: string }>("select body from deliveries where event_type = $1", [
        type,
      ]);
      return rows.map(({ body }) => JSON.parse(body));
    },
    suppressions: () => select("select address, reason, since from suppressions order by address"),
    sources: () =>
      select(
        "select type, occurred_at from suppressions join events on events.id = source_event_id order by address",
      ),
  };
}

export const person = {
  userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/97.0 Safari/537.36",
};
export const delivery = (after: number) => sesEvent("Delivery", { after });
export const at = (seconds: number) => new Date(timeAfter(seconds));
