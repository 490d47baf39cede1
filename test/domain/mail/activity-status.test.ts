import { describe, expect, test } from "vitest";
import {
  type ActivityStatus,
  apiStatus,
  apiStatuses,
  higherStatus,
  statusOfEvent,
  storedStatuses,
} from "../../../src/domain/mail/activity-status.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import type { EmailEventType } from "../../../src/domain/mail/event-names.ts";

/** From rules.md, the lowest first. */
const ranks: ActivityStatus[] = [
  "queued",
  "sent",
  "delayed",
  "bounced_soft",
  "delivered",
  "failed",
  "suppressed",
  "bounced_hard",
  "complained",
];
const pairs = ranks.flatMap((one, lower) => ranks.slice(lower).map((other) => [one, other] as const));

describe("higherStatus", () => {
  test.each(pairs)("of %s and %s is the latter, whichever is known first", (low, high) => {
    expect([higherStatus(low, high), higherStatus(high, low)]).toEqual([high, high]);
  });
});

describe("statusOfEvent", () => {
  test.each<[EmailEventType, EventDetail, ActivityStatus]>([
    ["sent", {}, "sent"],
    ["delivered", {}, "delivered"],
    ["delayed", {}, "delayed"],
    ["delayed", { bounce_type: "Permanent", action: "delayed" }, "delayed"],
    ["bounced", { bounce_type: "Permanent" }, "bounced_hard"],
    ["bounced", { bounce_type: "Transient" }, "bounced_soft"],
    ["bounced", { bounce_type: "Undetermined" }, "bounced_soft"],
    ["bounced", {}, "bounced_soft"],
    ["bounced", { bounce_type: "Permanent", bounce_subtype: "Suppressed" }, "bounced_hard"],
    ["bounced", { bounce_type: "Permanent", bounce_subtype: "UnsubscribedRecipient" }, "bounced_hard"],
    ["bounced", { bounce_type: "Permanent", bounce_subtype: "OnAccountSuppressionList" }, "suppressed"],
    ["bounced", { bounce_type: "Permanent", bounce_subtype: "OnTenantSuppressionList" }, "suppressed"],
    ["complained", {}, "complained"],
    ["complained", { complaint_feedback_type: "abuse" }, "complained"],
    ["complained", { complaint_feedback_type: "not-spam" }, "sent"],
    ["complained", { complaint_feedback_type: "Not-Spam" }, "sent"],
    ["complained", { complaint_subtype: "OnAccountSuppressionList" }, "suppressed"],
    ["complained", { complaint_subtype: "OnTenantSuppressionList" }, "suppressed"],
    ["suppressed", {}, "suppressed"],
    ["rejected", {}, "failed"],
    ["rendering_failed", {}, "failed"],
    ["opened", {}, "sent"],
    ["clicked", {}, "sent"],
    ["subscription_changed", {}, "sent"],
  ])("of %s with %j is %s", (type, detail, status) => {
    expect(statusOfEvent({ type, detail }, false)).toBe(status);
  });

  test("of an automatic reply is no more than sent", () => {
    const detail = { bounce_type: "Transient", bounce_subtype: "General" };
    expect(statusOfEvent({ type: "bounced", detail }, true)).toBe("sent");
    expect(statusOfEvent({ type: "bounced", detail }, false)).toBe("bounced_soft");
  });
});

describe("the statuses of the API", () => {
  test("call hard and soft bounces by one name, and the others by their own", () => {
    expect(ranks.map(apiStatus)).toEqual([
      "queued",
      "sent",
      "delayed",
      "bounced",
      "delivered",
      "failed",
      "suppressed",
      "bounced",
      "complained",
    ]);
  });

  test("stand together for each stored status once", () => {
    expect(apiStatuses.flatMap(storedStatuses).toSorted()).toEqual(ranks.toSorted());
    for (const status of apiStatuses) {
      expect(storedStatuses(status).map(apiStatus)).toEqual(storedStatuses(status).map(() => status));
    }
  });
});
