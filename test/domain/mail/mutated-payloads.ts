import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { bridged } from "../../support/eventbridge.ts";

/*
 * The payloads of test/fixtures/ses with random mistakes in them, as JSON texts.
 */

const directory = new URL("../../fixtures/ses/", import.meta.url);
const fixtures = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readFileSync(new URL(name, directory), "utf8"))
  .filter((text) => text.startsWith("{"));

/** JSON can write it, but JSON.stringify cannot. */
const tooLarge = "1e400";
const odd = fc.constantFrom<unknown>(
  ...[
    null,
    true,
    false,
    0,
    -1.5,
    tooLarge,
    "",
    "text",
    "jane@example.com",
    "m".repeat(513),
    "\u0000",
    "\ud800",
  ],
  ...[[], [null], ["a", 5, null, ["b"]], ["a", "b"], [{ emailAddress: "a@example.com", action: 5, new: 1 }]],
  ...[{}, { a: "b" }, { a: ["b", 1], c: [], d: null, e: "f" }, { emailAddress: null }, { "0": [], more: 1 }],
  ...[JSON.parse('{"__proto__":["x"],"a":["b"]}'), JSON.parse('{"__proto__":{"subject":"x"}}')],
  ...[{ from: ["a", null, 1], subject: "s", to: [] }, { from: "a", subject: null }, nested(60)],
);
/** Each use is a value of its own, because the next mistake may change it. */
const value = fc
  .oneof({ weight: 5, arbitrary: odd }, { weight: 1, arbitrary: fc.jsonValue() })
  .map((part) => () => JSON.parse(JSON.stringify(part)));
const types = [
  ...["Send", "Delivery", "Bounce", "Complaint", "Reject", "Open", "Click", "Rendering Failure"],
  ...[
    "DeliveryDelay",
    "Subscription",
    "Received",
    "AmazonSnsSubscriptionSucceeded",
    "",
    "constructor",
    "New",
  ],
];
const detailKeys = [
  ...["send", "delivery", "bounce", "complaint", "reject", "open", "click", "failure", "deliveryDelay"],
  "subscription",
];
const name = fc.constantFrom(
  ...[
    "__proto__",
    "constructor",
    "toString",
    "more",
    "",
    "0",
    "new",
    "eventType",
    "notificationType",
    "mail",
  ],
  ...detailKeys,
  ...["messageId", "timestamp", "source", "destination", "commonHeaders", "tags", "headers", "sourceIp"],
  ...["from", "subject", "emailAddress", "action", "status", "diagnosticCode", "recipients", "smtpResponse"],
  ...["reportingMTA", "processingTimeMillis", "feedbackId", "bounceType", "bounceSubType", "ipAddress"],
  ...["bouncedRecipients", "complainedRecipients", "delayedRecipients", "complaintSubType", "userAgent"],
  ...["complaintFeedbackType", "reason", "isBotEvent", "link", "linkTags", "templateName", "errorMessage"],
  ...["detail-type", "detail", "resources", "time", "id"],
  ...["delayType", "expirationTime", "contactList", "newTopicPreferences", "oldTopicPreferences"],
);

type Mistake = (holder: object, key: string) => void;
const mistake: fc.Arbitrary<Mistake> = fc.oneof(
  fc.constant<Mistake>((holder, key) => Reflect.deleteProperty(holder, key)),
  value.map(
    (other): Mistake =>
      (holder, key) =>
        set(holder, key, other()),
  ),
  fc.constant<Mistake>((holder, key) => set(holder, key, [get(holder, key)])),
  fc.constant<Mistake>((holder, key) => set(holder, key, { inner: get(holder, key) })),
  fc.tuple(name, value).map(
    ([added, part]): Mistake =>
      (holder) => {
        if (Array.isArray(holder)) holder.push(part());
        else set(holder, added, part());
      },
  ),
  fc.tuple(name, value).map(
    ([added, part]): Mistake =>
      (holder, key) => {
        const inner = get(holder, key);
        if (Array.isArray(inner)) inner.unshift(part());
        else if (typeof inner === "object" && inner !== null) set(inner, added, part());
      },
  ),
);
/** Which of the values in a payload it concerns, as a part of all. Most are entries of lists, so half stay near the top. */
const place = fc.record({
  depth: fc.constantFrom(2, 3, 9),
  share: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

const mistakes = fc.array(fc.tuple(place, mistake), { maxLength: 4 });
const retyped = fc.option(fc.constantFrom(...types), { freq: 3, nil: undefined });
const formatKey = fc.constantFrom("eventType", "notificationType");

export const mutatedPayload: fc.Arbitrary<string> = fc
  .record({
    fixture: fc.constantFrom(...fixtures),
    mistakes,
    retyped,
    formatKey,
    envelope: fc.constantFrom(...Array(9).fill("none"), "eventbridge", "with detail as text"),
  })
  .map((plan) => {
    const event = JSON.parse(plan.fixture);
    if (plan.retyped !== undefined) retype(event, plan.formatKey, plan.retyped);
    const detail = plan.envelope === "with detail as text" ? { detail: JSON.stringify(event) } : {};
    const payload = plan.envelope === "none" ? event : bridged(event, detail);
    for (const [{ depth, share }, make] of plan.mistakes) {
      const places = placesIn(payload, depth);
      const found = places[Math.floor(share * places.length)];
      if (found) make(...found);
    }
    return JSON.stringify(payload).replaceAll(`"${tooLarge}"`, tooLarge);
  });

/** Makes the payload one of another type, with its detail under each key. */
function retype(payload: Record<string, unknown>, key: string, type: string): void {
  const detail = detailKeys.map((one) => payload[one]).find((one) => one !== undefined) ?? {};
  delete payload["eventType"];
  delete payload["notificationType"];
  payload[key] = type;
  for (const one of detailKeys) payload[one] = structuredClone(detail);
}

/** Headers are many and kept nowhere. */
function placesIn(holder: object, depth: number): [object, string][] {
  return Object.keys(holder).flatMap((key): [object, string][] => {
    const part = get(holder, key);
    const isOpen = depth > 1 && typeof part === "object" && part !== null && key !== "headers";
    return [[holder, key], ...(isOpen ? placesIn(part, depth - 1) : [])];
  });
}

function get(holder: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(holder, key)?.value;
}

/** Also a field `__proto__`, as JSON.parse sets it. */
function set(holder: object, key: string, part: unknown): void {
  Object.defineProperty(holder, key, {
    value: part,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function nested(depth: number): unknown {
  return depth === 0 ? "deep" : { in: [nested(depth - 1)] };
}
