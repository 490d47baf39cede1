/**
 * The sender's message cannot be accepted, now or later. `status` is what HTTP answers:
 * 400 not an SNS message, 403 not authentic or not allowed, 413 too large.
 * The text never holds payload or addresses, so that it can be logged and answered.
 */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: 400 | 403 | 413;
  /** A short constant for counters. */
  readonly causeCode: string;

  constructor(status: 400 | 403 | 413, causeCode: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.causeCode = causeCode;
  }
}

/**
 * We cannot do it now; the same request may pass later. HTTP answers 503 with `Retry-After`, because SNS
 * repeats a 5xx and never a 4xx.
 */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  readonly retryAfterSeconds: number;
  /** Whether another message may well pass now: it is this one's certificate or confirmation that cannot be had. */
  readonly isOfOneMessage: boolean;

  constructor(
    message: string,
    options?: ErrorOptions & { retryAfterSeconds?: number; isOfOneMessage?: boolean },
  ) {
    super(message, options);
    this.retryAfterSeconds = options?.retryAfterSeconds ?? 5;
    this.isOfOneMessage = options?.isOfOneMessage ?? false;
  }
}

/**
 * The message cannot be verified now. Anybody can bring this about by naming a certificate that does not exist, so it
 * counts as a refusal and is no alarm; it is answered 503 all the same, because a genuine message must come again.
 */
export class UnverifiedError extends UnavailableError {
  readonly causeCode: UnverifiedCause;

  constructor(causeCode: UnverifiedCause, message: string, options?: ErrorOptions) {
    super(message, { ...options, isOfOneMessage: true });
    this.causeCode = causeCode;
  }
}

/**
 * `missing`: AWS has no such certificate. `unreachable`: AWS gives no usable answer, which concerns genuine messages
 * too. `crowded`: more unknown certificates are asked for than are fetched.
 */
export const unverifiedCauses = [
  "certificate_missing",
  "certificate_unreachable",
  "certificate_crowded",
] as const;
type UnverifiedCause = (typeof unverifiedCauses)[number];

/** Under what an error counts as a refusal; null: it is our own trouble. */
export function refusalCause(error: unknown): string | null {
  return error instanceof RefusedError || error instanceof UnverifiedError ? error.causeCode : null;
}
