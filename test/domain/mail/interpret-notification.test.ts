import { describe, expect, test } from "vitest";
import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { asMessage, sesEvent, timeAfter } from "../../support/ses.ts";

const publishedAt = new Date("2026-11-20T12:00:00.000Z");
const activityId = "aaaaaaaa-0000-7000-8000-000000000000";
const interpret = (message: unknown) =>
  interpretNotification("project", JSON.stringify({ Type: "Notification", Message: message }), publishedAt);

describe("interpretNotification", () => {
  test("tells of each recipient the facts of the email and the event, the tagged id of the primary only", () => {
    const message = asMessage(
      sesEvent("Delivery", {
        after: 5,
        to: ["jane@example.com", "mary@example.com"],
        mail: { tags: { activity_id: [activityId] } },
      }),
    );

    expect(interpret(message)).toMatchObject({
      kind: "events",
      events: [
        {
          facts: { message_id: "message-1", recipient: "jane@example.com", tagged_id: activityId },
          event: { type: "delivered", occurred_at: new Date(timeAfter(5)) },
        },
        {
          facts: { message_id: "message-1", recipient: "mary@example.com", tagged_id: null },
          event: { type: "delivered", occurred_at: new Date(timeAfter(5)) },
        },
      ],
    });
    expect(interpret(message)).toHaveProperty("events.length", 2);
  });

  test("takes the time of publishing for an event without a time", () => {
    expect(interpret(asMessage(sesEvent("Open", { detail: { timestamp: "?" } })))).toMatchObject({
      events: [{ event: { occurred_at: publishedAt } }],
    });
  });

  test.each(["Successfully validated SNS topic for Amazon SES event publishing.", '{"eventType":"Future"}'])(
    "ignores %s",
    (message) => {
      expect(interpret(message).kind).toBe("ignored");
    },
  );

  test.each([
    ["Hello jane@example.com", "The message is not JSON"],
    ['{"eventType":"Send","mail":{}}', "mail.messageId is missing or malformed"],
    ['{"eventType":"Send","mail":{"messageId":"m"}}', "Send: no recipient that is an email address"],
  ])("says that %s is invalid, and why", (message, reason) => {
    expect(interpret(message)).toEqual({ kind: "invalid", reason });
  });

  test.each(["", "null", "{}", '{"Message":5}', '{"Message":{"eventType":"Send"}}'])(
    "says that the body %s, which the receiver does not let in, is invalid, without quoting it",
    (body) => {
      expect(interpretNotification("project", body, publishedAt)).toEqual({
        kind: "invalid",
        reason: expect.stringMatching(/^It cannot be interpreted \((Syntax|Zod)Error\)$/),
      });
    },
  );
});
