import { type AwsErrorKind, awsFailure } from "./error-kind.ts";

/** A look at AWS that came to nothing. */
export class LookError extends Error {
  override readonly name = "LookError";
  readonly kind: AwsErrorKind;
  /** What the caller needs to be allowed, as a policy writes it: `sns:GetTopicAttributes`. */
  readonly action: string;

  constructor(action: string, cause: unknown) {
    const { kind, reason } = awsFailure(cause);
    super(reason, { cause });
    this.kind = kind;
    this.action = action;
  }
}

/**
 * Waits for an answer of AWS.
 * @throws LookError
 */
export async function looked<Answer>(action: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw new LookError(action, error);
  }
}
