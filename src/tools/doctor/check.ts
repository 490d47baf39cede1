import type { Dispatcher } from "undici";
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config.ts";
import { errorText } from "../../logger.ts";
import type { Database } from "../../storage/database.ts";
import { sqlState } from "../../storage/database-errors.ts";
import { ended } from "./wording.ts";

export type Check = {
  area: Area;
  /** Completes "Doctor could not look at …". */
  subject: string;
  /** @param signal aborts a little before the deadline, so that what has been seen by then can be told. */
  look: (signal: AbortSignal) => Promise<Observation[]> | Observation[];
};

/** Makes one check, to its end or to its deadline; never rejects. */
export async function runCheck({ area, subject, look }: Check, timeoutMs: number): Promise<Finding[]> {
  const observations = await withinDeadline(async (signal) => look(signal), timeoutMs).catch((error) => [
    troubleWith(subject, error),
  ]);
  return observations.map((observation) => ({ area, ...observation }));
}

/** Something took longer than a check may. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** @throws DeadlineError when `work` is not done in time; it is left to itself then. */
export async function withinDeadline<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  timeoutMs: number,
): Promise<Result> {
  const stopping = new AbortController();
  const warning = setTimeout(() => stopping.abort(), timeoutMs * 0.9);
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
  });
  try {
    return await Promise.race([work(stopping.signal), deadline]);
  } finally {
    clearTimeout(warning);
    clearTimeout(timer);
  }
}

function troubleWith(subject: string, error: unknown): Observation {
  const what = `Doctor could not look at ${subject}: ${ended(errorText(error))}`;
  if (error instanceof DeadlineError || sqlState(error) === "57014") {
    return fail(what, "See whether it is overloaded or unreachable, or give it longer: --timeout 30.");
  }
  if (sqlState(error) === "42501") {
    return fail(
      what,
      "Connect as the role that owns the tables, or grant what is missing: grant select, insert, update, delete on all tables in schema public to <role>.",
    );
  }
  return fail(what, "Mend the cause that it names, and run npx fanmail doctor again.");
}

/** What is looked at, and with what. */
export type Patient = {
  config: Config;
  clock: Clock;
  /** Reaches AWS, in the way of the service. */
  dispatcher: Dispatcher;
  /** Where the database is, or why that cannot be told. */
  database: { url: string } | { trouble: Observation };
  /** They open secrets of endpoints; null where none was made yet. */
  encryptionKeys: readonly Buffer[] | null;
  /** For each check. */
  timeoutMs: number;
  /** The configuration set to look at in SES; null for all. */
  configurationSet: string | null;
};

/** What is stored, or why it cannot be read now. */
export type Store = { db: Database } | { unreadable: string };

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
