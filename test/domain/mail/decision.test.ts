import { expect, test } from "vitest";
import { impersonalDetail } from "../../../src/domain/erasure.ts";
import { decidedKeys, discardReasons } from "../../../src/domain/mail/decision.ts";
import { explain } from "../../../src/domain/mail/explanation.ts";

import { EmailEventView } from "../../../src/http/routes/event-view.ts";

test("the API shows every part of a decision, and erasure keeps it", () => {
  expect(Object.keys(EmailEventView.shape)).toEqual(expect.arrayContaining([...decidedKeys, "discarded"]));
  expect(impersonalDetail).toEqual(expect.arrayContaining([...decidedKeys]));
});

test("each reason has an explanation of its own", () => {
  const known = discardReasons.map((discarded) => explain({ type: "opened", detail: {}, discarded }));
  const unknown = explain({ type: "opened", detail: {}, discarded: "another" });

  expect(new Set([...known, unknown]).size).toBe(discardReasons.length + 1);
});
