import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import type { EmailEventType } from "../../../src/domain/mail/event-names.ts";

/*
 * What each payload of test/fixtures/ses means, written by hand from facts/ses-sns.md and not from the code.
 */

/** Recipient in matched form, whether it is the primary one, event time, detail. */
export type ExpectedEvent = [EmailEventType, string, boolean, string, EventDetail];
export type ExpectedReading =
  | { kind: "events"; events: ExpectedEvent[] }
  | { kind: "ignored"; reason: "set_up" | "inbound_mail" | "unknown_type" };

/** Stands in where the payload has no time of its own. */
export const publishedAt = new Date("2026-11-20T12:00:00.000Z");

export const mailTime = "2026-03-26T02:13:21.662Z";
const bounceTime = "2026-03-26T02:13:22.362Z";
export const feedbackTime = "2016-01-27T14:59:38.237Z";
const bounceMta = "dns; a8-86.smtp-out.amazonses.com";
export const windows = (chrome: string) =>
  `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${chrome} Safari/537.36`;
export const longLinkParameters = Array.from(
  { length: 90 },
  (_, index) => `utm_param_${index}=vvvvvvvvvvvvvv%20${index}`,
);

export const events = (...list: ExpectedEvent[]): ExpectedReading => ({ kind: "events", events: list });

function bounce(
  recipient: string,
  type: string,
  subtype: string,
  feedbackId: string,
  [status, diagnostic]: [string, string],
  { at = bounceTime, mta = bounceMta } = {},
): ExpectedReading {
  const detail: EventDetail = {
    bounce_type: type,
    bounce_subtype: subtype,
    action: "failed",
    status_code: status,
    diagnostic_code: diagnostic,
    feedback_id: `${feedbackId}-000000`,
    reporting_mta: mta,
  };
  return events(["bounced", recipient, true, at, detail]);
}

export const bounceFixtures: Record<string, ExpectedReading> = {
  "event-bounce-multi-recipient": events(
    [
      "bounced",
      "jane@example.com",
      true,
      bounceTime,
      {
        bounce_type: "Permanent",
        bounce_subtype: "General",
        action: "failed",
        status_code: "5.1.1",
        diagnostic_code: "smtp; 550 5.1.1 <jane@example.com>... User unknown",
        feedback_id: "0100019d27eaf33a-2b9b6406-a61c-4b8f-aed7-7385c83e8867-000000",
        reporting_mta: bounceMta,
      },
    ],
    [
      "bounced",
      "richard@example.com",
      false,
      bounceTime,
      {
        bounce_type: "Permanent",
        bounce_subtype: "General",
        action: "failed",
        status_code: "5.0.0",
        feedback_id: "0100019d27eaf33a-2b9b6406-a61c-4b8f-aed7-7385c83e8867-000000",
        reporting_mta: bounceMta,
      },
    ],
  ),
  "event-bounce-permanent-email-validation-suppressed": events([
    "bounced",
    "typo@example.invalid",
    true,
    "2026-03-26T02:13:21.682Z",
    {
      bounce_type: "Permanent",
      bounce_subtype: "EmailValidationSuppressed",
      feedback_id: "0100019d27eaf092-f82c005b-c299-4827-a52a-421d8def3f37-000000",
    },
  ]),
  "event-bounce-permanent-general": bounce(
    "recipient@example.com",
    "Permanent",
    "General",
    "0100019d27eaf33a-fc8e69e7-5bed-4235-a02a-d38429aee3a1",
    ["5.1.1", "smtp; 550 5.1.1 user unknown"],
  ),
  "event-bounce-permanent-noemail": bounce(
    "nobody@example.com",
    "Permanent",
    "NoEmail",
    "0100019d27eaf33a-131cc906-d723-4299-a4a1-d1f241b6a000",
    ["5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist."],
  ),
  "event-bounce-permanent-on-account-suppression-list": bounce(
    "optedout@example.com",
    "Permanent",
    "OnAccountSuppressionList",
    "0100019d27eaf08a-b127ea03-ccbc-4603-aab7-9340ef165ce1",
    [
      "5.1.1",
      "Amazon SES did not send the message to this address because it is on the suppression list for your account.",
    ],
    { at: "2026-03-26T02:13:21.674Z", mta: "dns; amazonses.com" },
  ),
  "event-bounce-permanent-suppressed": bounce(
    "blocked@example.com",
    "Permanent",
    "Suppressed",
    "0100019d27eaf08d-d82a88cf-9be5-4e7e-afed-80b190f0dd07",
    [
      "5.1.1",
      "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address.",
    ],
    { at: "2026-03-26T02:13:21.677Z", mta: "dns; amazonses.com" },
  ),
  "event-bounce-transient-attachment-rejected": bounce(
    "noexe@example.com",
    "Transient",
    "AttachmentRejected",
    "0100019d27eaf33a-5376a560-0738-486b-aa6d-82939e85a968",
    ["5.7.0", "smtp; 552-5.7.0 This message was blocked because its attachment type is not allowed."],
  ),
  "event-bounce-transient-content-rejected": bounce(
    "strict@example.com",
    "Transient",
    "ContentRejected",
    "0100019d27eaf33a-469a0c64-8420-4566-a217-25666b63bfc3",
    ["5.7.1", "smtp; 550 5.7.1 Message rejected due to content restrictions"],
  ),
  "event-bounce-transient-custom-timeout-exceeded": bounce(
    "slow@example.com",
    "Transient",
    "CustomTimeoutExceeded",
    "0100019d27f4183e-6da6fa22-a72c-441c-ab15-4e44112ab69d",
    [
      "4.4.7",
      "smtp; 550 4.4.7 Message expired: unable to deliver in 10 minutes.<421 4.4.1 Failed to establish connection>",
    ],
    { at: "2026-03-26T02:23:21.662Z" },
  ),
  "event-bounce-transient-general-ooto": events([
    "bounced",
    "ooto@simulator.amazonses.com",
    true,
    "2026-03-26T02:13:22.173Z",
    {
      bounce_type: "Transient",
      bounce_subtype: "General",
      feedback_id: "0100019d27eaf27d-e251fc07-d23e-4f7c-a9da-a5c25fe4259b-000000",
    },
  ]),
  "event-bounce-transient-mailbox-full": bounce(
    "full@example.com",
    "Transient",
    "MailboxFull",
    "0100019d2aebfb7e-60402b22-92af-4eb5-a9ba-bb00064f4ee5",
    ["4.2.2", "smtp; 452 4.2.2 The email account that you tried to reach is over quota."],
    { at: "2026-03-26T16:13:21.662Z" },
  ),
  "event-bounce-transient-message-too-large": bounce(
    "small@example.com",
    "Transient",
    "MessageTooLarge",
    "0100019d27eaf33a-231b9a58-0785-40b6-a267-5255bea74e12",
    ["5.3.4", "smtp; 552 5.3.4 message size exceeds fixed limit"],
  ),
  "event-bounce-undetermined": events([
    "bounced",
    "mystery@example.com",
    true,
    "2026-03-26T02:14:51.662Z",
    {
      bounce_type: "Undetermined",
      bounce_subtype: "Undetermined",
      feedback_id: "0100019d27ec500e-0dc98cbd-b312-4be6-a2e7-298b46730cb1-000000",
    },
  ]),
  "event-headers-truncated": bounce(
    "recipient@example.com",
    "Permanent",
    "General",
    "0100019d27eaf33a-e1398a77-323d-4b00-aec7-aba7dde866b5",
    ["5.1.1", "smtp; 550 5.1.1 user unknown"],
  ),
  "event-missing-optional-fields": events([
    "bounced",
    "recipient@example.com",
    true,
    publishedAt.toISOString(),
    { bounce_type: "Permanent", bounce_subtype: "General" },
  ]),
  "notification-bounce-multi-recipient-no-dsn": events(
    ...(["jane@example.com", "richard@example.com"] as const).map(
      (recipient, index): ExpectedEvent => [
        "bounced",
        recipient,
        index === 0,
        feedbackTime,
        {
          bounce_type: "Permanent",
          bounce_subtype: "General",
          feedback_id: "00000137860315fd-869464a4-8680-4114-98d3-716fe35851f9-000000",
        },
      ],
    ),
  ),
  "notification-bounce-permanent": bounce(
    "jane@example.com",
    "Permanent",
    "General",
    "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa068a",
    ["5.1.1", "smtp; 550 5.1.1 <jane@example.com>... User"],
    { at: feedbackTime, mta: "dns; email.example.com" },
  ),
  "notification-bounce-permanent-no-headers": events(
    [
      "bounced",
      "recipient1@example.com",
      true,
      "2012-05-25T14:59:38.605Z",
      {
        bounce_type: "Permanent",
        bounce_subtype: "General",
        action: "failed",
        status_code: "5.0.0",
        diagnostic_code: "smtp; 550 user unknown",
        feedback_id: "000001378603176d-5a4b5ad9-6f30-4198-a8c3-b1eb0c270a1d-000000",
        reporting_mta: "example.com",
      },
    ],
    [
      "delayed",
      "recipient2@example.com",
      false,
      "2012-05-25T14:59:38.605Z",
      {
        bounce_type: "Permanent",
        bounce_subtype: "General",
        action: "delayed",
        status_code: "4.0.0",
        feedback_id: "000001378603176d-5a4b5ad9-6f30-4198-a8c3-b1eb0c270a1d-000000",
        reporting_mta: "example.com",
      },
    ],
  ),
  "notification-bounce-transient-mailbox-full": bounce(
    "jane@example.com",
    "Transient",
    "MailboxFull",
    "010001528398d87d-fd47dc56-9589-4fea-a835-38a43e83dde2",
    ["4.2.2", "smtp; 452 4.2.2 mailbox full"],
    { at: "2016-01-28T04:59:38.237Z", mta: "dns; a8-70.smtp-out.amazonses.com" },
  ),
};
