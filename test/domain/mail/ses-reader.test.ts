import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseSesNotification } from "../../../src/domain/mail/ses-notification.ts";
import { atLength } from "../../support/length.ts";
import { mutatedPayload } from "./mutated-payloads.ts";
import { describedNotification } from "./ses-description.ts";

/** Fields sorted, own `__proto__` and infinite numbers visible, and undefined the same as absent. */
function laidOpen(value: unknown): unknown {
  if (value instanceof Date) return ["date", value.getTime()];
  if (Array.isArray(value)) return ["list", ...value.map(laidOpen)];
  if (typeof value !== "object" || value === null) return value;
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return fields
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => [name, laidOpen(field)]);
}

describe("the reader of SES payloads finds what the description of them says", () => {
  test("in payloads with any mistakes", () => {
    const found = new Map<string, number>();
    fc.assert(
      fc.property(mutatedPayload, (message) => {
        const read = parseSesNotification(message);
        expect(laidOpen(read)).toEqual(laidOpen(describedNotification(message)));
        const kind = read.kind === "event" ? read.event.type : read.kind;
        found.set(kind, (found.get(kind) ?? 0) + 1);
      }),
      { numRuns: atLength(2_000, 100_000) },
    );
    expect([...found.keys()].toSorted()).toEqual([
      ...["Bounce", "Click", "Complaint", "Delivery", "DeliveryDelay", "Open", "Reject", "Rendering Failure"],
      ...["Send", "Subscription", "ignored", "invalid"],
    ]);
  });

  const mail = (fields: string) => `{"eventType":"Send","mail":{"messageId":"m",${fields}}}`;
  const detail = (type: string, fields: string) =>
    `{"eventType":"${type}","mail":{"messageId":"m"},"${type.toLowerCase()}":{${fields}}}`;
  const envelope = (fields: string) =>
    `{${fields},"detail-type":"Email Sent","detail":${mail('"source":""')}}`;

  test.each([
    mail('"source":"","timestamp":null'),
    mail('"destination":null,"tags":null,"commonHeaders":null'),
    mail('"commonHeaders":{"from":null,"subject":null,"to":[]}'),
    mail('"commonHeaders":{"from":"a","subject":5}'),
    mail('"tags":{"__proto__":["x"],"a":["b"]}'),
    mail('"tags":{"__proto__":["x"],"a":null}'),
    mail('"tags":{"a":"b","c":[1,"d"],"e":5,"f":[]},"__proto__":1'),
    mail(`"messageId":"${"m".repeat(512)}"`),
    mail(`"messageId":"${"m".repeat(513)}"`),
    mail('"messageId":""'),
    detail("Delivery", '"processingTimeMillis":1e400,"recipients":["a",5,null,["b"]]'),
    detail("Delivery", '"processingTimeMillis":"5","recipients":null,"smtpResponse":""'),
    detail("Bounce", '"bouncedRecipients":["a",5,null,{"new":1,"action":2}]'),
    detail("Bounce", '"bouncedRecipients":"a@example.com"'),
    detail("Bounce", '"bouncedRecipients":null'),
    detail("Click", '"more":1,"linkTags":{"a":["b",null]}'),
    detail("Open", '"__proto__":{"ipAddress":"192.0.2.1"}'),
    '{"eventType":"Open","__proto__":1,"more":2,"mail":{"messageId":"m"},"open":null}',
    envelope('"resources":["a",5],"source":"aws.ses"'),
    envelope('"resources":["a"],"time":"2026-11-20T10:00:07Z"'),
    '{"resources":["a",5],"source":"aws.ses","detail-type":"Sending Status Enabled","detail":null}',
    '{"resources":["a"],"source":"aws.ses","detail-type":"Sending Status Enabled","account":5,"detail":{}}',
  ])("in %s", (message) => {
    expect(laidOpen(parseSesNotification(message))).toEqual(laidOpen(describedNotification(message)));
  });
});
