import type { ActivityState } from "../../../domain/mail/activity.ts";

/** The ranks of a send, lowest first. SmartCQ has a single status, so opens and clicks have ranks too. */
const ranks = [
  "queued",
  "sent",
  "delayed",
  "bounced_soft",
  "delivered",
  "opened",
  "clicked",
  "failed",
  "suppressed",
  "bounced_hard",
  "complained",
] as const;
type Rank = (typeof ranks)[number];

export const sendStatuses = [
  "queued",
  "sent",
  "delayed",
  "delivered",
  "opened",
  "clicked",
  "failed",
  "suppressed",
  "bounced",
  "complained",
] as const;
export type SendStatus = (typeof sendStatuses)[number];

/** The highest status that an activity has reached. */
export function sendStatus(
  activity: Pick<ActivityState, "current_status" | "opened_first_at" | "clicked_first_at">,
) {
  const reached: Rank[] = [activity.current_status];
  if (activity.opened_first_at) reached.push("opened");
  if (activity.clicked_first_at) reached.push("clicked");
  const highest = Math.max(...reached.map((rank) => ranks.indexOf(rank)));
  return shown(ranks[highest] ?? activity.current_status);
}

/** A condition on activities. */
export type SendCondition = {
  /** One of these. */
  statuses: readonly Exclude<Rank, "opened" | "clicked">[];
  /** null: either. */
  isOpened: boolean | null;
  isClicked: boolean | null;
};

/** The activities with a status: those that meet one of the conditions. */
export function activitiesOfSendStatus(status: SendStatus): SendCondition[] {
  const below = (rank: Rank) =>
    ranks
      .slice(0, ranks.indexOf(rank))
      .filter(
        (lower): lower is SendCondition["statuses"][number] => lower !== "opened" && lower !== "clicked",
      );
  if (status === "clicked") return [{ statuses: below("clicked"), isOpened: null, isClicked: true }];
  if (status === "opened") return [{ statuses: below("opened"), isOpened: true, isClicked: false }];
  const stored = status === "bounced" ? (["bounced_soft", "bounced_hard"] as const) : [status];
  return stored.map((one) => {
    const isAboveClicks = ranks.indexOf(one) > ranks.indexOf("clicked");
    return {
      statuses: [one],
      isOpened: isAboveClicks ? null : false,
      isClicked: isAboveClicks ? null : false,
    };
  });
}

function shown(rank: Rank): SendStatus {
  return rank === "bounced_soft" || rank === "bounced_hard" ? "bounced" : rank;
}
