import { type ActivityRules, emptyActivity } from "../../../src/domain/mail/activity.ts";
import {
  type ActivityChange,
  addEvents,
  type KnownEvent,
  needsHistory,
  refold,
} from "../../../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { oneEvent } from "./activity-histories.ts";

export const rules: ActivityRules = { openWindowSeconds: 1200, machineFilter: true };

export const open = (ms: number) => oneEvent("opened", ms);

export function signsOf({ kept, machine }: EventDetail): Record<string, unknown> {
  return { ...(kept === undefined ? {} : { kept }), ...(machine === undefined ? {} : { machine }) };
}

/** What the worker and the database do between them: a gate for repeats, and the stored decisions. */
export function stored() {
  let state = emptyActivity;
  const events = new Map<string, KnownEvent>();
  const told: string[] = [];
  const paths = { added: 0, refolded: 0 };
  return {
    events,
    told,
    paths,
    state: () => state,
    apply(batch: readonly EmailEvent[], activityRules: ActivityRules): ActivityChange | null {
      const fresh = [...new Map(batch.map((event) => [event.id, event])).values()].filter(
        ({ id }) => !events.has(id),
      );
      if (fresh.length === 0) return null;
      const isLate = needsHistory(state, fresh);
      paths[isLate ? "refolded" : "added"]++;
      for (const event of fresh) events.set(event.id, { ...event, discarded: null });
      const isNew = ({ id }: EmailEvent) => fresh.some((event) => event.id === id);
      const change = isLate
        ? refold([...events.values()], isNew, activityRules, state)
        : addEvents(state, fresh, activityRules);
      state = change.state;
      for (const { event, decision } of change.decisions) {
        const { kept: _, machine: __, reclassified: ___, auto_reply: ____, ...detail } = event.detail;
        const { id, type, occurred_at } = event;
        const decided = { ...detail, ...decision.detail };
        events.set(id, { id, type, occurred_at, detail: decided, discarded: decision.discarded });
      }
      told.push(...change.counted.map(({ id }) => id));
      return change;
    },
  };
}
