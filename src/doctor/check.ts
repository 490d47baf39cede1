import { errorText } from "../logger.ts";
import { sqlState } from "../storage/database-errors.ts";
import { type Area, type Finding, fail, type Observation } from "./finding.ts";
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
