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

/** `next`: nothing is wrong, but something has not been started. */
export type Level = "ok" | "next" | "warn" | "fail" | "skipped";

/**
 * What a rule reports, in one sentence, and the command or setting that fixes it.
 * @property code of the rule.
 */
export type Finding = { code: string; area: Area; level: Level; what: string; remedy?: string };

/** The worst level; `skipped` and `next` do not count. */
export function overall(findings: readonly Finding[]): "ok" | "warn" | "fail" {
  const levels = new Set(findings.map(({ level }) => level));
  return levels.has("fail") ? "fail" : levels.has("warn") ? "warn" : "ok";
}

/** Sorts findings by area; `next` comes before everything else. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((one, other) => rank(one) - rank(other));
}

function rank({ area, level }: Finding): number {
  return level === "next" ? -1 : areas.indexOf(area);
}
