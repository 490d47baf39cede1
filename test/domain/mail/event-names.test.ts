import { expect, test } from "vitest";
import {
  activityName,
  emailEventTypes,
  typesOfWebhookNames,
  webhookEventTypes,
  webhookName,
} from "../../../src/domain/mail/event-names.ts";

test("every type has the names of the table in rules.md", () => {
  expect(emailEventTypes.map((type) => [type, activityName(type), webhookName(type)])).toEqual([
    ["sent", "send", "email.send"],
    ["delivered", "delivered", "email.delivery"],
    ["delayed", "delivery_delay", "email.deliverydelay"],
    ["bounced", "bounce", "email.bounce"],
    ["complained", "complaint", "email.complaint"],
    ["rejected", "reject", "email.reject"],
    ["rendering_failed", "rendering_failure", "email.renderingfailure"],
    ["opened", "open", "email.open"],
    ["clicked", "click", "email.click"],
    ["subscription_changed", "subscription", "email.subscription"],
    ["suppressed", "suppressed", "email.suppressed"],
  ]);
});

test("endpoints can subscribe to the webhook name of every type, to custom events, suppressions, disabled endpoints and the account", () => {
  expect(webhookEventTypes).toEqual([
    ...emailEventTypes.map(webhookName),
    "event.tracked",
    "suppression.added",
    "suppression.removed",
    "endpoint.disabled",
    "account.status",
  ]);
});

test("names of webhooks lead back to types of email events; * to all, others to none", () => {
  expect(typesOfWebhookNames(["email.open", "event.tracked", "email.click"])).toEqual(["opened", "clicked"]);
  expect(typesOfWebhookNames(["*"])).toEqual(emailEventTypes);
  expect(typesOfWebhookNames(["webhook.test", "open"])).toEqual([]);
});
