import { expect, test } from "vitest";
import { ok, runCheck } from "../../../src/tools/doctor/check.ts";

test("a check that hangs costs its deadline, and one that breaks tells why", async () => {
  const hanging = runCheck({ area: "queue", subject: "the queue", look: () => new Promise(() => {}) }, 50);
  const broken = runCheck(
    {
      area: "queue",
      subject: "the queue",
      look() {
        throw new Error("It is broken", { cause: new Error("by a hammer") });
      },
    },
    50,
  );

  expect(await Promise.all([hanging, broken])).toEqual([
    [
      {
        area: "queue",
        status: "fail",
        what: "Doctor could not look at the queue: no answer within 0.05 s.",
        remedy: expect.stringContaining("--timeout 30"),
      },
    ],
    [
      {
        area: "queue",
        status: "fail",
        what: "Doctor could not look at the queue: It is broken: by a hammer.",
        remedy: expect.any(String),
      },
    ],
  ]);
});

test("a check can tell what it has seen by its deadline", async () => {
  const seen = await runCheck(
    {
      area: "ses",
      subject: "all",
      look: async (signal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return [ok("Half of it.")];
      },
    },
    1_000,
  );

  expect(seen).toEqual([{ area: "ses", status: "ok", what: "Half of it." }]);
});
