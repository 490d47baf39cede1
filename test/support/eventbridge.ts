import type { SesPayload } from "./ses.ts";

const detailTypes: Record<string, string> = {
  Bounce: "Email Bounced",
  Complaint: "Email Complaint Received",
  Delivery: "Email Delivered",
  Open: "Email Opened",
  Send: "Email Sent",
};

/** An SES event as EventBridge gives it to the target of a rule. */
export function bridged(detail: SesPayload, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    version: "0",
    id: "3cc76530-9842-03a9-fdef-e4e4f667cf4e",
    "detail-type": detailTypes[String(detail["eventType"])] ?? "Email Event",
    source: "aws.ses",
    account: "123456789012",
    time: "2026-11-20T10:00:07Z",
    region: "us-east-1",
    resources: ["arn:aws:ses:us-east-1:123456789012:configuration-set/main"],
    detail,
    ...more,
  };
}

export const tenantArn = "arn:aws:ses:us-east-1:123456789012:tenant/acme/tn-2a8c678ec0000fdaf76cc1f127b40";

/** A `Sending Status …` event, as the developer guide of SES shows it. */
export function sendingStatus(
  status: "Enabled" | "Disabled",
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return bridged(
    { mail: {} },
    {
      "detail-type": `Sending Status ${status}`,
      resources: [tenantArn],
      detail: {
        version: "1.0.0",
        data: {
          origin: "AWS_MANAGED",
          record: { status: status.toUpperCase(), cause: "High bounce rate." },
        },
      },
      ...more,
    },
  );
}

/** An `Advisor Recommendation Status …` event, likewise. */
export function recommendation(
  status: "Open" | "Resolved",
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return bridged(
    { mail: {} },
    {
      id: "53a0c9f2-6d0b-4f0e-9a57-0d8f5a1c9b11",
      "detail-type": `Advisor Recommendation Status ${status}`,
      resources: ["arn:aws:ses:us-east-1:123456789012:identity/example.com"],
      detail: {
        version: "1.0.0",
        data: "The bounce rate exceeded 15.0%.",
        metadata: { impact: "HIGH", type: "BOUNCE" },
      },
      ...more,
    },
  );
}
