import type { Address } from "./address.ts";
import { type EventDetail, eventDetail } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";
import type { SesEvent } from "./ses-notification.ts";

/** The time of a fact that has none of its own. */
export const withTheMail = Symbol("with the mail");

/** A fact as SES tells it, before it has an id and a time. */
export type Fact = {
  address: string;
  type: EmailEventType;
  time: string | null | undefined | typeof withTheMail;
  detail: EventDetail;
  /** What tells two facts of the same kind apart, beside their time. */
  discriminator: readonly (string | null | undefined)[];
};

/** The facts of an SES event, one for each recipient that it concerns. */
export function factsOf(event: SesEvent, destination: Address[]): Fact[] {
  const everyone = destination.map(({ asSent }) => asSent);
  switch (event.type) {
    case "Send":
      return everyone.map((address) => mailFact(address, "sent", {}));
    case "Reject":
      return everyone.map((address) =>
        mailFact(address, "rejected", eventDetail({ reason: event.detail.reason })),
      );
    case "Rendering Failure": {
      const { templateName, errorMessage } = event.detail;
      const detail = eventDetail({ template_name: templateName, reason: errorMessage });
      return everyone.map((address) => mailFact(address, "rendering_failed", detail));
    }
    case "Delivery":
      return deliveryFacts(event.detail, everyone);
    case "Bounce":
      return bounceFacts(event.detail);
    case "DeliveryDelay":
      return delayFacts(event.detail);
    case "Complaint":
      return complaintFacts(event.detail);
    case "Open":
    case "Click":
    case "Subscription":
      return everyone.slice(0, 1).map((address) => personFact(address, event, everyone.length === 1));
    default:
      throw new Error(`unreachable: ${event satisfies never}`);
  }
}

type DetailOf<Type extends SesEvent["type"]> = Extract<SesEvent, { type: Type }>["detail"];

function mailFact(address: string, type: EmailEventType, detail: EventDetail): Fact {
  return { address, type, time: withTheMail, detail, discriminator: [] };
}

function deliveryFacts(delivery: DetailOf<"Delivery">, everyone: string[]): Fact[] {
  const detail = eventDetail({
    smtp_response: delivery.smtpResponse,
    reporting_mta: delivery.reportingMTA,
    processing_time_ms: delivery.processingTimeMillis,
  });
  return (delivery.recipients ?? everyone).map((address) => ({
    address,
    type: "delivered",
    time: delivery.timestamp,
    detail,
    discriminator: [delivery.smtpResponse],
  }));
}

function bounceFacts(bounce: DetailOf<"Bounce">): Fact[] {
  return bounce.bouncedRecipients.map((recipient) => ({
    address: recipient.emailAddress,
    // Inside a bounce of several recipients one can still be on its way.
    type: recipient.action?.toLowerCase() === "delayed" ? "delayed" : "bounced",
    time: bounce.timestamp,
    detail: eventDetail({
      bounce_type: bounce.bounceType,
      bounce_subtype: bounce.bounceSubType,
      action: recipient.action,
      status_code: recipient.status,
      diagnostic_code: recipient.diagnosticCode,
      feedback_id: bounce.feedbackId,
      reporting_mta: bounce.reportingMTA,
    }),
    discriminator: [bounce.feedbackId],
  }));
}

function delayFacts(delay: DetailOf<"DeliveryDelay">): Fact[] {
  return delay.delayedRecipients.map((recipient) => ({
    address: recipient.emailAddress,
    type: "delayed",
    time: delay.timestamp,
    detail: eventDetail({
      delay_type: delay.delayType,
      status_code: recipient.status,
      diagnostic_code: recipient.diagnosticCode,
      expires_at: delay.expirationTime,
      reporting_mta: delay.reportingMTA,
    }),
    discriminator: [delay.delayType],
  }));
}

function complaintFacts(complaint: DetailOf<"Complaint">): Fact[] {
  // SES lists every recipient at the complaining domain, so that several are only possible complainers.
  const isCertain = complaint.complainedRecipients.length === 1;
  return complaint.complainedRecipients.map(({ emailAddress }) => ({
    address: emailAddress,
    type: "complained",
    time: complaint.timestamp,
    detail: eventDetail({
      complaint_feedback_type: complaint.complaintFeedbackType,
      complaint_subtype: complaint.complaintSubType,
      user_agent: complaint.userAgent,
      feedback_id: complaint.feedbackId,
      recipient_certain: isCertain ? undefined : false,
    }),
    discriminator: [complaint.feedbackId],
  }));
}

type PersonEvent = Extract<SesEvent, { type: "Open" | "Click" | "Subscription" }>;

function personFact(address: string, event: PersonEvent, isCertain: boolean): Fact {
  const time = event.detail.timestamp;
  const uncertain = isCertain ? {} : { recipient_certain: false as const };
  if (event.type === "Subscription") {
    const { contactList, source, newTopicPreferences, oldTopicPreferences } = event.detail;
    const preferences = { new_preferences: newTopicPreferences, old_preferences: oldTopicPreferences };
    const detail = eventDetail({ contact_list: contactList, reason: source, ...preferences, ...uncertain });
    return { address, type: "subscription_changed", time, detail, discriminator: [contactList] };
  }
  const { ipAddress, userAgent } = event.detail;
  const seen = { ip_address: ipAddress, user_agent: userAgent, ...uncertain };
  if (event.type === "Open") {
    return {
      address,
      type: "opened",
      time,
      detail: eventDetail(seen),
      discriminator: [ipAddress, userAgent],
    };
  }
  const { link, linkTags } = event.detail;
  const detail = eventDetail({ ...seen, url_clicked: link, link_tags: linkTags });
  return { address, type: "clicked", time, detail, discriminator: [ipAddress, userAgent, link] };
}
