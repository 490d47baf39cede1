/**
 * The sender's message cannot be accepted, now or later. `status` is what HTTP answers:
 * 400 not an SNS message, 403 not authentic or not allowed, 413 too large.
 * The text never holds payload or addresses, so that it can be logged and answered.
 */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: 400 | 403 | 413;
  readonly causeCode: RefusedCause;

  constructor(status: 400 | 403 | 413, causeCode: RefusedCause, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.causeCode = causeCode;
  }
}

/** Labels of a counter: why a message is refused, over HTTP or SQS. */
export const refusedCauses = [
  "not_utf8",
  "not_json",
  "not_sns",
  "unknown_topic",
  "certificate_url",
  "certificate_expired",
  "signature",
] as const;
/** Over HTTP alone. */
export const httpRefusedCauses = [
  "too_large",
  "aborted",
  "body_crowded",
  "raw_delivery",
  "raw_token",
] as const;
type RefusedCause = (typeof refusedCauses)[number] | (typeof httpRefusedCauses)[number];

/**
 * The request cannot be served now, but may be later. HTTP answers 503 with `Retry-After`, because SNS repeats a 5xx
 * and never a 4xx.
 */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  readonly retryAfterSeconds: number;
  /** Whether only this message's certificate or confirmation is unavailable, so another message may pass now. */
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
 * The message cannot be verified now. Anybody can cause this, by naming a certificate that does not exist or by sending large
 * bodies slowly, so it counts as a refusal and raises no alarm. It is answered 503 all the same, because a genuine message must be sent again.
 */
export class UnverifiedError extends UnavailableError {
  readonly causeCode: UnverifiedCause;

  constructor(causeCode: UnverifiedCause, message: string, options?: ErrorOptions) {
    super(message, { ...options, isOfOneMessage: true });
    this.causeCode = causeCode;
  }
}

/**
 * `missing`: AWS has no such certificate. `unreachable`: AWS gives no usable answer, which affects genuine messages too.
 * `crowded`: more unknown certificates are named than can be fetched.
 */
export const unverifiedCauses = [
  "certificate_missing",
  "certificate_unreachable",
  "certificate_crowded",
] as const;
/** `body_crowded`: incomplete bodies took too much together, and this was the largest. */
type UnverifiedCause = (typeof unverifiedCauses)[number] | "body_crowded";
export type RefusalCause = RefusedCause | UnverifiedCause;

/** The label under which an error counts as a refusal; null: it is an internal error. */
export function refusalCause(error: unknown): RefusalCause | null {
  return error instanceof RefusedError || error instanceof UnverifiedError ? error.causeCode : null;
}
