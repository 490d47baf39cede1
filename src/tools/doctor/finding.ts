/** In the order of the report. */
export const areas = [
  "configuration",
  "database",
  "queue",
  "clock",
  "topics",
  "certificate",
  "ses",
  "sqs",
  "journal",
  "webhooks",
] as const;
export type Area = (typeof areas)[number];

/** `next`: nothing is wrong, and something has not been begun. */
export type Level = "ok" | "next" | "warn" | "fail" | "skipped";

/**
 * What a rule says about the facts, in one sentence, and for what is not well a command or a setting that fixes it.
 * @property code the rule's.
 */
export type Finding = { code: string; area: Area; level: Level; what: string; remedy?: string };

/** The worst level of all; what was skipped or comes next says nothing. */
export function overall(findings: readonly Finding[]): "ok" | "warn" | "fail" {
  const levels = new Set(findings.map(({ level }) => level));
  return levels.has("fail") ? "fail" : levels.has("warn") ? "warn" : "ok";
}

/** Findings in the order of their areas. What comes next stands before everything else. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((one, other) => rank(one) - rank(other));
}

function rank({ area, level }: Finding): number {
  return level === "next" ? -1 : areas.indexOf(area);
}
