import { expect, test } from "vitest";
import type { Finding } from "../../../src/tools/doctor/finding.ts";
import { judge, rules } from "../../../src/tools/doctor/rules/table.ts";
import { awsExamples } from "./examples-aws.ts";
import { ownExamples } from "./examples-own.ts";

const examples = { ...ownExamples, ...awsExamples };
const codes = rules.map(({ code }) => code);

function findingsOf(code: string): Finding[] {
  const fact = examples[code];
  return judge(fact === undefined ? [] : [fact]).filter((finding) => finding.code === code);
}

test.each(codes)("the rule %s says something about its example", (code) => {
  expect(findingsOf(code)).toHaveLength(1);
});

test("each code belongs to one rule, and each example to a rule", () => {
  expect(new Set(codes).size).toBe(codes.length);
  expect(Object.keys(examples).filter((code) => !codes.includes(code))).toEqual([]);
});

test("the words of all findings", async () => {
  const lines = codes.flatMap(findingsOf).flatMap(({ code, area, level, what, remedy }) => {
    return [`${level} ${area} (${code})`, `  ${what}`, ...(remedy === undefined ? [] : [`  → ${remedy}`])];
  });
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("findings.txt");
});
