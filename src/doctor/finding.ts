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
type Status = "ok" | "next" | "warn" | "fail" | "skipped";

/** What was seen, in one sentence, and for what is not well a command or a setting that mends it. */
export type Observation = { status: Status; what: string; remedy?: string };

export type Finding = { area: Area } & Observation;

export function ok(what: string): Observation {
  return { status: "ok", what };
}

export function next(what: string, remedy: string): Observation {
  return { status: "next", what, remedy };
}

export function warn(what: string, remedy: string): Observation {
  return { status: "warn", what, remedy };
}

export function fail(what: string, remedy: string): Observation {
  return { status: "fail", what, remedy };
}

export function skipped(what: string, remedy?: string): Observation {
  return { status: "skipped", what, ...(remedy !== undefined && { remedy }) };
}

/** The worst of all; what was skipped or comes next says nothing. */
export function overall(findings: readonly Observation[]): "ok" | "warn" | "fail" {
  const statuses = new Set(findings.map(({ status }) => status));
  return statuses.has("fail") ? "fail" : statuses.has("warn") ? "warn" : "ok";
}
