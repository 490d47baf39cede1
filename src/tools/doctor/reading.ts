import { AwsCallError, type AwsErrorKind } from "../../aws/failure.ts";
import { errorText } from "../../logger.ts";
import { sqlState } from "../../storage/database-errors.ts";
import type { Area } from "./finding.ts";

/** Reads facts that belong together, with a deadline of its own. */
export type Reading<Fact> = {
  area: Area;
  /** Completes "Doctor could not look at …". */
  subject: string;
  /** @param signal aborts a little before the deadline, so that what has been read by then can be reported. */
  read: (signal: AbortSignal) => Promise<Fact[]> | Fact[];
};

/** Facts that could not be read. */
export type UnreadFact = {
  kind: "unread";
  area: Area;
  subject: string;
  why: "slow" | "not-permitted" | "other";
  reason: string;
};

/** Facts that were not asked for. */
export type UnaskedFact = { kind: "unasked"; area: Area; subject: string; reason: string };

/** AWS did not answer. @property subject as in `the topic ses-events`. */
export type AwsFailureFact = {
  kind: "aws-failure";
  area: Area;
  subject: string;
  failure: AwsErrorKind;
  action: string;
  reason: string;
};

/** What AWS answers, or how a call failed. @throws errors other than AwsCallError. */
export async function answered<Fact>(
  area: Area,
  subject: string,
  read: () => Promise<Fact[]>,
): Promise<(Fact | AwsFailureFact)[]> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AwsCallError)) throw error;
    const { kind: failure, action, reason } = error;
    return [{ kind: "aws-failure", area, subject, failure, action, reason }];
  }
}

/** Takes a reading until it ends or its deadline passes; never rejects. */
export async function take<Fact>(
  { area, subject, read }: Reading<Fact>,
  timeoutMs: number,
): Promise<(Fact | UnreadFact)[]> {
  try {
    return await withinDeadline(async (signal) => read(signal), timeoutMs);
  } catch (error) {
    return [{ kind: "unread", area, subject, why: whyUnread(error), reason: errorText(error) }];
  }
}

function whyUnread(error: unknown): UnreadFact["why"] {
  if (error instanceof DeadlineError || sqlState(error) === "57014") return "slow";
  return sqlState(error) === "42501" ? "not-permitted" : "other";
}

/** A reading took too long. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** @throws DeadlineError when `work` is not done in time; it goes on in the background. */
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

/** Lets several readings share what is read once. */
export function once<Result>(read: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => {
    result ??= read();
    return result;
  };
}
