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

type Status = "ok" | "warn" | "fail" | "skipped";

/** What was seen, in one sentence, and for what is not well a command or a setting that mends it. */
export type Observation = { status: Status; what: string; remedy?: string };

export type Finding = { area: Area } & Observation;

export function ok(what: string): Observation {
  return { status: "ok", what };
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

/** The worst of all; what was skipped says nothing. */
export function overall(findings: readonly Observation[]): "ok" | "warn" | "fail" {
  const statuses = new Set(findings.map(({ status }) => status));
  return statuses.has("fail") ? "fail" : statuses.has("warn") ? "warn" : "ok";
}
