import { describe, expect, test } from "vitest";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { emailEventTypes } from "../../../src/domain/mail/event-names.ts";
import {
  type Suppression,
  type SuppressionReason,
  suppressionOf,
  tenantSuppressionOf,
} from "../../../src/domain/mail/suppression.ts";
import { oneEvent } from "./activity-histories.ts";

const bounce: Suppression = { reason: "bounce", isEcho: false };
const complaint: Suppression = { reason: "complaint", isEcho: false };
const echoOf = ({ reason }: Suppression): Suppression => ({ reason, isEcho: true });

const bounced = (bounce_type: string, bounce_subtype: string): EmailEvent =>
  oneEvent("bounced", 0, { bounce_type, bounce_subtype });
const complained = (detail: EventDetail): EmailEvent => oneEvent("complained", 0, detail);

describe("a bounce", () => {
  /** Every type and subtype of facts/ses-sns.md, decided by rules.md. */
  test.each<[string, string, Suppression | null]>([
    ["Permanent", "General", bounce],
    ["Permanent", "NoEmail", bounce],
    ["Permanent", "Suppressed", bounce],
    ["Permanent", "OnTenantSuppressionList", null],
    ["Permanent", "OnAccountSuppressionList", echoOf(bounce)],
    ["Permanent", "EmailValidationSuppressed", null],
    ["Permanent", "UnsubscribedRecipient", null],
    ["Permanent", "SomethingNew", null],
    ["Undetermined", "Undetermined", null],
    ["Transient", "General", null],
    ["Transient", "MailboxFull", null],
    ["Transient", "MessageTooLarge", null],
    ["Transient", "CustomTimeoutExceeded", null],
    ["Transient", "ContentRejected", null],
    ["Transient", "AttachmentRejected", null],
    ["Transient", "NoEmail", null],
    ["Transient", "OnAccountSuppressionList", null],
    ["Undetermined", "General", null],
  ])("that is %s/%s comes to %j", (type, subtype, expected) => {
    expect(suppressionOf(bounced(type, subtype), false)).toEqual(expected);
  });

  test("without a subtype, or without a type, suppresses nobody", () => {
    expect(suppressionOf(oneEvent("bounced", 0, { bounce_type: "Permanent" }), false)).toBeNull();
    expect(suppressionOf(oneEvent("bounced", 0, { bounce_subtype: "General" }), false)).toBeNull();
    expect(suppressionOf(oneEvent("bounced", 0), false)).toBeNull();
  });
});

describe("a complaint", () => {
  test.each<[EventDetail, Suppression | null]>([
    [{}, complaint],
    [{ complaint_feedback_type: "abuse" }, complaint],
    [{ complaint_feedback_type: "auth-failure" }, complaint],
    [{ complaint_feedback_type: "fraud" }, complaint],
    [{ complaint_feedback_type: "other" }, complaint],
    [{ complaint_feedback_type: "virus" }, complaint],
    [{ complaint_feedback_type: "not-spam" }, null],
    [{ complaint_feedback_type: "NOT-SPAM" }, null],
    [{ complaint_subtype: "OnAccountSuppressionList" }, echoOf(complaint)],
    [{ complaint_subtype: "OnTenantSuppressionList" }, null],
    [{ complaint_subtype: "OnAccountSuppressionList", complaint_feedback_type: "not-spam" }, null],
    [{ recipient_certain: false }, null],
    [{ recipient_certain: false, complaint_feedback_type: "abuse" }, null],
    [{ recipient_certain: false, complaint_subtype: "OnAccountSuppressionList" }, null],
  ])("with %j comes to %j", (detail, expected) => {
    expect(suppressionOf(complained(detail), false)).toEqual(expected);
  });
});

test.each(emailEventTypes.filter((type) => type !== "bounced" && type !== "complained"))(
  "%s suppresses nobody, whatever its detail",
  (type) => {
    const detail = { bounce_type: "Permanent", bounce_subtype: "General", complaint_feedback_type: "abuse" };

    expect(suppressionOf(oneEvent(type, 0, detail), false)).toBeNull();
  },
);

describe("the list of a tenant", () => {
  const onList = "OnTenantSuppressionList";

  test.each<[string, EmailEvent, SuppressionReason | null]>([
    ["a bounce", bounced("Permanent", onList), "bounce"],
    ["a bounce of another type", bounced("Undetermined", onList), "bounce"],
    ["a complaint", complained({ complaint_subtype: onList }), "complaint"],
    ["a bounce of another reason", bounced("Permanent", "General"), null],
    ["one of the list of the account", bounced("Permanent", "OnAccountSuppressionList"), null],
    [
      "one that may be another's",
      oneEvent("bounced", 0, { bounce_subtype: onList, recipient_certain: false }),
      null,
    ],
    [
      "one of another mailbox",
      oneEvent("bounced", 0, { bounce_subtype: onList, reported_address: "x@example.net" }),
      null,
    ],
    ["an open", oneEvent("opened", 0, { bounce_subtype: onList }), null],
  ])("%s comes to what it says", (_what, event, expected) => {
    expect(tenantSuppressionOf(event, false)).toBe(expected);
    expect(tenantSuppressionOf(event, true)).toBeNull();
  });
});

test("mail to the mailbox simulator suppresses nobody", () => {
  const events = [
    bounced("Permanent", "General"),
    bounced("Permanent", "OnAccountSuppressionList"),
    complained({ complaint_feedback_type: "abuse" }),
  ];

  expect(events.map((event) => suppressionOf(event, true))).toEqual([null, null, null]);
});
