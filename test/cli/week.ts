import { readFileSync } from "node:fs";

/*
 * Counts examples/week.ndjson as its README describes it, apart from the product's own code.
 */

type Listed = { emailAddress: string; action?: string };
type Detail = Record<string, unknown> & { timestamp?: string; feedbackId?: string };
type Payload = {
  eventType?: string;
  notificationType?: string;
  mail?: { messageId: string; destination: string[] };
} & Record<string, Detail>;

type Fact = {
  type: string;
  messageId: string;
  recipient: string;
  timeMs: number;
  agent: string;
  key: string;
};

export type WeekCount = {
  lines: number;
  distinctLines: number;
  /** Facts told again by another line, and lines that tell of no event, or of nothing known. */
  repeatedFacts: number;
  ignored: number;
  quarantined: number;
  /**
   * Event type → how many different ones count, and how many are discarded: machines', and
   * opens within 20 minutes of one that counts.
   */
  events: Map<string, { counted: number; discarded: number }>;
};

const windowMs = 20 * 60 * 1000;
const names: Record<string, string> = {
  Send: "sent",
  Delivery: "delivered",
  DeliveryDelay: "delayed",
  Bounce: "bounced",
  Complaint: "complained",
  Reject: "rejected",
  "Rendering Failure": "rendering_failed",
  Open: "opened",
  Click: "clicked",
  Subscription: "subscription_changed",
};
const detailKeys: Record<string, string> = { DeliveryDelay: "deliveryDelay", "Rendering Failure": "failure" };

export function countWeek(): WeekCount {
  const text = readFileSync(new URL("../../examples/week.ndjson", import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  const payloads = [...new Set(lines)].map((line) => JSON.parse(line) as Payload);
  const typeOf = (payload: Payload) => payload.eventType ?? payload.notificationType;
  const facts = payloads.flatMap((payload) => factsOf(typeOf(payload) ?? "", payload));
  const distinct = [...new Map(facts.map((fact) => [JSON.stringify(fact), fact])).values()];
  const machines = new Set(machineFacts(distinct));
  const people = distinct.filter((fact) => !machines.has(fact));
  const discarded = new Set([...machines, ...discardedOpens(people)]);
  const events: WeekCount["events"] = new Map();
  for (const fact of distinct) {
    const { counted, discarded: out } = events.get(fact.type) ?? { counted: 0, discarded: 0 };
    const isOut = discarded.has(fact);
    events.set(fact.type, { counted: counted + (isOut ? 0 : 1), discarded: out + (isOut ? 1 : 0) });
  }
  return {
    lines: lines.length,
    distinctLines: payloads.length,
    repeatedFacts: facts.length - distinct.length,
    ignored: payloads.filter((payload) => typeOf(payload) && !names[typeOf(payload) ?? ""]).length,
    quarantined: payloads.filter((payload) => !typeOf(payload)).length,
    events,
  };
}

function factsOf(type: string, payload: Payload): Fact[] {
  const name = names[type];
  if (!name || !payload.mail) return [];
  const { messageId, destination } = payload.mail;
  const detail = payload[detailKeys[type] ?? type.toLowerCase()] ?? {};
  const key = JSON.stringify(
    [detail.feedbackId ?? detail.timestamp, detail["ipAddress"], detail["userAgent"], detail["link"]].map(
      (part) => part ?? null,
    ),
  );
  return recipientsOf(type, detail, destination).map(({ emailAddress, action }) => ({
    type: action === "delayed" ? "delayed" : name,
    messageId,
    recipient: emailAddress.replace(/^.*<(.*)>$/, "$1").toLowerCase(),
    timeMs: Date.parse(detail.timestamp ?? "") || 0,
    agent: String(detail["userAgent"] ?? ""),
    key: ["sent", "rejected", "rendering_failed"].includes(name) ? "" : key,
  }));
}

function recipientsOf(type: string, detail: Detail, destination: string[]): Listed[] {
  if (["Open", "Click", "Subscription"].includes(type)) return [{ emailAddress: destination[0] ?? "" }];
  const listed = (detail["bouncedRecipients"] ??
    detail["complainedRecipients"] ??
    detail["delayedRecipients"]) as Listed[] | undefined;
  const addresses = (detail["recipients"] as string[] | undefined) ?? destination;
  return listed ?? addresses.map((emailAddress) => ({ emailAddress }));
}

/** Apple's prefetch, and what lies within two seconds after the delivery. */
function machineFacts(facts: Fact[]): Fact[] {
  const delivered = new Map(
    facts
      .filter(({ type }) => type === "delivered")
      .map((fact) => [`${fact.messageId} ${fact.recipient}`, fact.timeMs]),
  );
  return facts
    .filter(({ type }) => type === "opened" || type === "clicked")
    .filter(({ messageId, recipient, timeMs, agent }) => {
      const sinceMs = timeMs - (delivered.get(`${messageId} ${recipient}`) ?? Number.POSITIVE_INFINITY);
      return agent === "Mozilla/5.0" || (sinceMs >= 0 && sinceMs <= 2_000);
    });
}

function discardedOpens(facts: Fact[]): Fact[] {
  const lastCounted = new Map<string, number>();
  return facts
    .filter(({ type }) => type === "opened")
    .toSorted((one, other) => one.timeMs - other.timeMs)
    .filter(({ messageId, recipient, timeMs }) => {
      const activity = `${messageId} ${recipient}`;
      const last = lastCounted.get(activity);
      if (last !== undefined && timeMs - last < windowMs) return true;
      lastCounted.set(activity, timeMs);
      return false;
    });
}
