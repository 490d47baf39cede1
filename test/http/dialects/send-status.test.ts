import { describe, expect, test } from "vitest";
import {
  activitiesOfSendStatus,
  sendStatus,
  sendStatuses,
} from "../../../src/http/dialects/smartcq/send-status.ts";

const at = new Date("2026-11-20T10:00:00Z");
const stored = [
  "queued",
  "sent",
  "delayed",
  "bounced_soft",
  "delivered",
  "failed",
  "suppressed",
  "bounced_hard",
  "complained",
] as const;
const activities = stored.flatMap((current_status) =>
  [null, at].flatMap((opened_first_at) =>
    [null, at].map((clicked_first_at) => ({ current_status, opened_first_at, clicked_first_at })),
  ),
);

describe("sendStatus", () => {
  test.each([
    ["delivered", null, null, "delivered"],
    ["delivered", at, null, "opened"],
    ["delivered", at, at, "clicked"],
    ["bounced_soft", at, null, "opened"],
    ["bounced_soft", null, null, "bounced"],
    ["bounced_hard", at, at, "bounced"],
    ["complained", at, at, "complained"],
    ["failed", null, at, "failed"],
    ["suppressed", at, null, "suppressed"],
    ["sent", null, at, "clicked"],
  ] as const)(
    "of %s, opened %s, clicked %s is %s",
    (current_status, opened_first_at, clicked_first_at, status) => {
      expect(sendStatus({ current_status, opened_first_at, clicked_first_at })).toBe(status);
    },
  );
});

test("the conditions of a status pick the activities that show it, and no others", () => {
  for (const status of sendStatuses) {
    const conditions = activitiesOfSendStatus(status);
    const picked = activities.filter(({ current_status, opened_first_at, clicked_first_at }) =>
      conditions.some(
        ({ statuses, isOpened, isClicked }) =>
          statuses.some((one) => one === current_status) &&
          (isOpened === null || isOpened === (opened_first_at !== null)) &&
          (isClicked === null || isClicked === (clicked_first_at !== null)),
      ),
    );
    expect(picked, status).toEqual(activities.filter((activity) => sendStatus(activity) === status));
  }
});
