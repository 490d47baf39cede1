import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import {
  type ExpectedEvent,
  type ExpectedReading,
  events,
  feedbackTime,
  longLinkParameters,
  mailTime,
  windows,
} from "./ses-fixtures.ts";

const clickedAt = "2026-03-26T02:14:41.662Z";
const complainedAt = "2026-03-27T02:13:21.662Z";

const clicked = (url: string, tags?: Record<string, string[]>): ExpectedReading =>
  events([
    "clicked",
    "recipient@example.com",
    true,
    clickedAt,
    {
      ip_address: "192.0.2.1",
      user_agent: windows("97.0.4692.99"),
      url_clicked: url,
      ...(tags ? { link_tags: tags } : {}),
    },
  ]);

const opened = (at: string, ip: string, agent: string): ExpectedReading =>
  events(["opened", "recipient@example.com", true, at, { ip_address: ip, user_agent: agent }]);

const complained = (
  recipient: string,
  isPrimary: boolean,
  feedbackId: string,
  detail: EventDetail,
  at = complainedAt,
): ExpectedEvent => [
  "complained",
  recipient,
  isPrimary,
  at,
  { ...detail, feedback_id: `${feedbackId}-000000` },
];

const delivered = (
  recipient: string,
  isPrimary: boolean,
  at: string,
  processingTimeMs: number,
  smtpResponse: string,
  mta = "a48-102.smtp-out.amazonses.com",
): ExpectedEvent => [
  "delivered",
  recipient,
  isPrimary,
  at,
  { smtp_response: smtpResponse, reporting_mta: mta, processing_time_ms: processingTimeMs },
];

const mailboxFull: EventDetail = {
  delay_type: "MailboxFull",
  status_code: "4.2.2",
  diagnostic_code: "smtp; 452 4.2.2 Mailbox full",
  expires_at: "2026-03-26T16:13:21.662Z",
  reporting_mta: "198.51.100.25",
};
const yahoo: EventDetail = {
  complaint_feedback_type: "abuse",
  user_agent: "Yahoo!-Mail-Feedback/2.0",
  recipient_certain: false,
};
const exampleLoop = "ExampleCorp Feedback Loop (V0.01)";

export const otherFixtures: Record<string, ExpectedReading> = {
  "event-click": clicked("https://www.example.com/docs/send-email-smtp.html", {
    samplekey0: ["samplevalue0"],
    samplekey1: ["samplevalue1"],
  }),
  "event-click-long-url": clicked(
    `https://www.example.com/r?${longLinkParameters.join("&")}#section-%E2%9C%93`,
    { section: ["footer"] },
  ),
  "event-click-null-linktags": clicked("https://www.example.com/surveys/42/yes"),
  "event-click-security-scanner": events([
    "clicked",
    "recipient@example.com",
    true,
    "2026-03-26T02:13:23.762Z",
    {
      ip_address: "198.51.100.200",
      user_agent: windows("79.0.3945.88"),
      url_clicked: "https://www.example.com/unsubscribe?token=abc123",
    },
  ]),
  "event-complaint-abuse": events(
    complained("recipient@example.com", true, "0100019d2d114c7e-6907ceb7-27ce-41a2-a65e-79b218f445ba", {
      complaint_feedback_type: "abuse",
      user_agent: exampleLoop,
    }),
  ),
  "event-complaint-multi-recipient": events(
    complained("jane@example.com", true, "0100019d2d114c7e-bdc2accc-c6ea-4ae8-ad16-18fbea485c99", yahoo),
    complained("mary@example.com", false, "0100019d2d114c7e-bdc2accc-c6ea-4ae8-ad16-18fbea485c99", yahoo),
  ),
  "event-complaint-not-spam": events(
    complained("happy@example.com", true, "0100019d2d114c7e-3d630c57-4df6-45ac-a723-89c3c50a8b53", {
      complaint_feedback_type: "not-spam",
      user_agent: exampleLoop,
    }),
  ),
  "event-complaint-on-account-suppression-list": events(
    complained(
      "optedout@example.com",
      true,
      "0100019d27eaf092-81783782-1aef-4150-a7f8-506fee098352",
      { complaint_subtype: "OnAccountSuppressionList" },
      "2026-03-26T02:13:21.682Z",
    ),
  ),
  "event-delivery": events(
    delivered(
      "recipient@example.com",
      true,
      "2026-03-26T02:13:22.263Z",
      601,
      "250 2.0.0 OK 1785153071 example - gsmtp",
    ),
  ),
  "event-delivery-delay": events([
    "delayed",
    "recipient@example.com",
    true,
    "2026-03-26T02:23:21.662Z",
    {
      delay_type: "TransientCommunicationFailure",
      status_code: "4.4.1",
      diagnostic_code: "smtp; 421 4.4.1 Unable to connect to remote host",
      expires_at: "2026-03-26T16:13:21.662Z",
    },
  ]),
  "event-delivery-delay-multi-recipient": events(
    ["delayed", "jane@example.com", true, "2026-03-26T02:43:21.662Z", mailboxFull],
    ["delayed", "mary@example.com", false, "2026-03-26T02:43:21.662Z", mailboxFull],
  ),
  "event-delivery-multi-recipient-subset": events(
    ...(["jane@example.com", "mary@example.com"] as const).map((recipient, index) =>
      delivered(
        recipient,
        index === 0,
        "2026-03-26T02:13:23.094Z",
        1432,
        "250 ok:  Message 64111812 accepted",
      ),
    ),
  ),
  "event-open": opened(
    "2026-03-26T02:13:51.662Z",
    "192.0.2.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_3 like Mac OS X) AppleWebKit/603.3.8 (KHTML, like Gecko) Mobile/14G60",
  ),
  "event-open-apple-mpp": opened("2026-03-26T02:13:25.662Z", "203.0.113.88", "Mozilla/5.0"),
  "event-open-gmail-image-proxy": opened(
    "2026-03-26T02:15:21.662Z",
    "66.249.84.231",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  ),
  "event-open-multi-recipient": events([
    "opened",
    "jane@example.com",
    true,
    "2026-03-26T03:13:21.662Z",
    {
      ip_address: "192.0.2.77",
      user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
      recipient_certain: false,
    },
  ]),
  "event-reject-bad-content": events([
    "rejected",
    "recipient@example.com",
    true,
    mailTime,
    { reason: "Bad content" },
  ]),
  "event-rendering-failure": events([
    "rendering_failed",
    "recipient@example.com",
    true,
    mailTime,
    {
      template_name: "MyTemplate",
      reason: "Attribute 'attributeName' is not present in the rendering data.",
    },
  ]),
  "event-send": events(["sent", "recipient@example.com", true, mailTime, {}]),
  "event-send-templated-no-subject": events(["sent", "recipient@example.com", true, mailTime, {}]),
  "event-subscription": events([
    "subscription_changed",
    "recipient@example.com",
    true,
    "2026-03-26T02:13:25.232Z",
    {
      contact_list: "ContactListName",
      reason: "UnsubscribeHeader",
      new_preferences: {
        unsubscribeAll: true,
        topicSubscriptionStatus: [{ topicName: "ExampleTopicName", subscriptionStatus: "OptOut" }],
      },
      old_preferences: {
        unsubscribeAll: false,
        topicSubscriptionStatus: [{ topicName: "ExampleTopicName", subscriptionStatus: "OptIn" }],
      },
    },
  ]),
  "event-unicode-subject-rfc2047": events(
    delivered(
      "recipient@example.com",
      true,
      "2026-03-26T02:13:22.462Z",
      800,
      "250 2.0.0 Ok: queued as 4XABCDEF",
    ),
  ),
  "event-unknown-type": { kind: "ignored", reason: "unknown_type" },
  "notification-amazon-sns-subscription-succeeded": { kind: "ignored", reason: "set_up" },
  "notification-complaint": events(
    complained(
      "richard@example.com",
      false,
      "000001378603177f-18c07c78-fa81-4a58-9dd1-fedc3cb8f49a",
      { complaint_feedback_type: "abuse", user_agent: "AnyCompany Feedback Loop (V0.01)" },
      feedbackTime,
    ),
  ),
  "notification-complaint-no-feedback-report": events(
    complained(
      "richard@example.com",
      false,
      "0000013786031775-fea503bc-7497-49e1-881b-a0379bb037d3",
      {},
      feedbackTime,
    ),
  ),
  "notification-delivery": events(
    delivered(
      "jane@example.com",
      true,
      "2016-01-27T14:59:38.783Z",
      546,
      "250 ok:  Message 64111812 accepted",
      "a8-70.smtp-out.amazonses.com",
    ),
  ),
  "plain-text-topic-validation": { kind: "ignored", reason: "set_up" },
};
