import { describe, expect } from "vitest";
import { setProjectRules } from "../../src/storage/projects.ts";
import { sesEvent } from "../support/ses.ts";
import { at, delivery, person, test } from "./applied-mail.ts";

const click = (after: number) =>
  sesEvent("Click", { after, detail: { ...person, link: "https://example.org/" } });

describe("machines", () => {
  test("a click two seconds after the delivery is a scanner's: listed, and told to nobody", async ({
    mail,
  }) => {
    await mail.apply(delivery(2), click(4));

    expect(await mail.activity()).toMatchObject({
      click_count: 0,
      clicked_first_at: null,
      clicked_any_first_at: at(4),
    });
    expect(await mail.decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: null },
    ]);
    expect(await mail.told("email.click")).toEqual([]);
  });

  test("a click a moment more than two seconds after the delivery is a person's", async ({ mail }) => {
    await mail.apply(delivery(2), click(4.001));

    expect(await mail.activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4.001) });
    expect(await mail.told("email.click")).toHaveLength(1);
  });

  test("a repeated delivery changes nothing, and neither does the reclassified click when it comes again", async ({
    mail,
  }) => {
    await mail.apply(click(4));
    await mail.apply(delivery(2));
    await mail.apply(delivery(2), click(4));

    expect(await mail.decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: true },
    ]);
    expect(await mail.told("email.click")).toHaveLength(1);
  });

  test("the same when the delivery arrives later; the click then says that it had counted", async ({
    mail,
  }) => {
    await mail.apply(click(4));
    expect(await mail.told("email.click")).toHaveLength(1);

    await mail.apply(delivery(2));

    expect(await mail.activity()).toMatchObject({
      click_count: 0,
      clicked_first_at: null,
      delivered_at: at(2),
    });
    expect(await mail.decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: true },
    ]);
    expect(await mail.told("email.click")).toHaveLength(1);
  });

  test("a still earlier delivery gives the click back, and its webhook is not told twice", async ({
    mail,
  }) => {
    await mail.apply(click(4));
    await mail.apply(delivery(2));
    await mail.apply(sesEvent("Delivery", { after: 1, detail: { smtpResponse: "250 first" } }));

    expect(await mail.activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4) });
    expect(await mail.decided("clicked")).toEqual([{ discarded: null, machine: null, reclassified: null }]);
    expect(await mail.told("email.click")).toHaveLength(1);
  });

  test("Apple's prefetch is no open; the person's after it is", async ({ mail }) => {
    await mail.apply(
      delivery(1),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0" } }),
      sesEvent("Open", { after: 90, detail: person }),
    );

    expect(await mail.activity()).toMatchObject({
      open_count: 1,
      opened_first_at: at(90),
      opened_any_first_at: at(60),
    });
    expect(await mail.decided("opened")).toEqual([
      { discarded: "machine", machine: "prefetch", reclassified: null },
      { discarded: null, machine: null, reclassified: null },
    ]);
    expect(await mail.told("email.open")).toHaveLength(1);
  });

  test.for<[string, object[][]]>([
    ["in one batch", [[{}, { isBotEvent: "Likely" }]]],
    ["first", [[{ isBotEvent: "Likely" }], [{}]]],
    ["last", [[{}], [{ isBotEvent: "Likely" }]]],
  ])(
    "an open that SES takes for a machine's in one of two accounts is one: %s",
    async ([, batches], { mail }) => {
      for (const batch of batches)
        await mail.apply(
          ...batch.map((more) => sesEvent("Open", { after: 60, detail: { ...person, ...more } })),
        );

      expect(await mail.activity()).toMatchObject({ open_count: 0, opened_any_first_at: at(60) });
      expect(await mail.decided("opened")).toMatchObject([{ discarded: "machine", machine: "aws" }]);
    },
  );

  test("clicks that are one act count once, whichever arrives first", async ({ mail }) => {
    await mail.apply(click(60.4));
    await mail.apply(click(60), click(60.2));

    expect(await mail.activity()).toMatchObject({ click_count: 1, clicked_first_at: at(60) });
    expect(await mail.decided("clicked")).toEqual([
      { discarded: null, machine: null, reclassified: null },
      { discarded: "repeat", machine: null, reclassified: null },
      { discarded: "repeat", machine: null, reclassified: true },
    ]);
    expect(await mail.told("email.click")).toHaveLength(2);
  });

  test("of a project that does not tell them apart count", async ({ mail, project, database }) => {
    await setProjectRules(database.db, project.id, { machineFilter: false });

    await mail.apply(delivery(2), click(4));

    expect(await mail.activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4) });
    expect(await mail.decided("clicked")).toEqual([{ discarded: null, machine: null, reclassified: null }]);
    expect(await mail.told("email.click")).toHaveLength(1);
  });
});
