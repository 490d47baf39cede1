import { expect, test } from "vitest";
import { type Reading, take } from "../../../src/tools/doctor/reading.ts";
import type { SystemFact } from "../../../src/tools/doctor/rules/rule.ts";
import { judge } from "../../../src/tools/doctor/rules/table.ts";

const reading = (read: Reading<SystemFact>["read"]) =>
  ({ area: "queue", subject: "the queue", read }) as const;

test("a reading that hangs ends at its deadline, and one that fails reports why", async () => {
  const hanging = take(
    reading(() => new Promise(() => {})),
    50,
  );
  const broken = take(
    reading(() => {
      throw new Error("It is broken", { cause: new Error("by a hammer") });
    }),
    50,
  );

  expect([judge(await hanging), judge(await broken)]).toEqual([
    [
      {
        code: "unread-slow",
        area: "queue",
        level: "fail",
        what: "Doctor could not look at the queue: no answer within 0.05 s.",
        remedy: expect.stringContaining("--timeout 30"),
      },
    ],
    [
      {
        code: "unread",
        area: "queue",
        level: "fail",
        what: "Doctor could not look at the queue: It is broken: by a hammer.",
        remedy: expect.any(String),
      },
    ],
  ]);
});

test("a reading can return what it has before its deadline", async () => {
  const facts = await take<SystemFact>(
    reading(async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return [{ kind: "no-sqs-queue" }];
    }),
    1_000,
  );

  expect(facts).toEqual([{ kind: "no-sqs-queue" }]);
});
