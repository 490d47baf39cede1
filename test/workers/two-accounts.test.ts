import { describe, expect } from "vitest";
import type { TestProject } from "../support/project-test.ts";
import { type SesPayload, sesEvent } from "../support/ses.ts";
import { at, delivery, test } from "./applied-mail.ts";

describe("one bounce in two accounts", () => {
  const feedbackId = "0100019d27eaf33a-fc8e69e7-5bed-4235-a02a-d38429aee3a1-000000";
  const account = (recipient: object, more: object): SesPayload =>
    sesEvent("Bounce", {
      after: 5,
      detail: {
        ...{ feedbackId, bounceType: "Transient", bounceSubType: "General" },
        ...{ bouncedRecipients: [{ emailAddress: "jane@example.com", ...recipient }], ...more },
      },
    });
  const bare = account({}, { reportingMTA: "dns; a" });
  const full = account({ status: "4.4.7", diagnosticCode: "smtp; 451" }, {});

  test.for<[string, SesPayload[][]]>([
    ["the full one last", [[bare], [full]]],
    ["the full one first", [[full], [bare]]],
    ["in one batch", [[bare, full]]],
    ["in one batch, the full one first", [[full, bare]]],
  ])(
    "is one event with all that is told, and no automatic reply: %s",
    async ([, batches], { mail, project }) => {
      for (const batch of batches) await mail.apply(...batch);

      expect(await project.select("select detail from events")).toEqual([
        {
          detail: {
            bounce_type: "Transient",
            bounce_subtype: "General",
            status_code: "4.4.7",
            diagnostic_code: "smtp; 451",
            reporting_mta: "dns; a",
            feedback_id: feedbackId,
          },
        },
      ]);
      expect(await mail.activity()).toMatchObject({ current_status: "bounced_soft", bounced_at: at(5) });
    },
  );

  const replies = (project: TestProject) =>
    project.select("select detail -> 'auto_reply' as auto_reply from events where type = 'bounced'");

  test.for<[string, SesPayload[][]]>([
    ["after the delivery", [[delivery(2)], [bare]]],
    ["before the delivery", [[bare], [delivery(9)]]],
    ["with the delivery", [[bare, delivery(2)]]],
  ])("alone, the bare one is an automatic reply: %s", async ([, batches], { mail, project }) => {
    for (const batch of batches) await mail.apply(...batch);

    expect(await replies(project)).toEqual([{ auto_reply: true }]);
    expect(await mail.activity()).toMatchObject({ current_status: "delivered", bounced_at: null });
  });

  test("alone and without a delivery, the bare one is a soft bounce", async ({ mail, project }) => {
    await mail.apply(bare);

    expect(await replies(project)).toEqual([{ auto_reply: null }]);
    expect(await mail.activity()).toMatchObject({ current_status: "bounced_soft", bounced_at: at(5) });
  });

  test("is an automatic reply no more when the full one follows", async ({ mail, project }) => {
    await mail.apply(delivery(2), bare);
    await mail.apply(full);

    expect(await replies(project)).toEqual([{ auto_reply: null }]);
    expect(await mail.activity()).toMatchObject({ current_status: "delivered", bounced_at: at(5) });
  });

  test.for<[string, object, object]>([
    ["the poorer first", {}, { diagnosticCode: "smtp; 550" }],
    ["the richer first", { diagnosticCode: "smtp; 550" }, {}],
  ])(
    "of which one lacks the diagnostic code keeps it, and is owed once: %s",
    async ([, one, other], { mail, project }) => {
      const permanent = { bounceType: "Permanent" };
      await mail.apply(account(one, permanent));
      await mail.apply(account(other, permanent));

      expect(await project.select("select detail ->> 'diagnostic_code' as code from events")).toEqual([
        { code: "smtp; 550" },
      ]);
      expect(await mail.told("email.bounce")).toHaveLength(1);
      expect(await mail.told("suppression.added")).toHaveLength(1);
      expect(await mail.activity()).toMatchObject({ current_status: "bounced_hard", bounced_at: at(5) });
    },
  );
});
