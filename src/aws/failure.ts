import { z } from "zod";

/** A call to AWS failed. The text tells which, why, and what to do about it. */
export class AwsCallError extends Error {
  override readonly name = "AwsCallError";
  readonly kind: AwsErrorKind;

  constructor(kind: AwsErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * @param action as in a policy: `sns:CreateTopic`.
 * @param subject what it was about: `the topic ses-events`.
 */
export function awsCallError(action: string, subject: string, error: unknown): AwsCallError {
  const failure = awsFailure(error);
  const [why, remedy] = explain(action, failure);
  const stop = /[.!?]$/.test(why) ? "" : ".";
  return new AwsCallError(failure.kind, `${action}, for ${subject}: ${why}${stop} ${remedy}`);
}

/** Whether AWS said that there is no such thing. */
export function isMissing(error: unknown): boolean {
  return awsFailure(error).kind === "missing";
}

/** @returns why, and what to do. */
function explain(action: string, { kind, name, reason }: AwsFailure): [string, string] {
  switch (kind) {
    case "no-credentials":
      return [
        `there are no AWS credentials (${reason})`,
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them. --dry-run works without.",
      ];
    case "refused-credentials":
      return [
        `AWS refuses the credentials (${name}: ${reason})`,
        "Check the access key, its secret and session token, and this machine's clock.",
      ];
    case "denied":
      return [
        `AWS does not allow it (${reason})`,
        `The caller needs ${action}; --dry-run prints the whole policy that it needs.`,
      ];
    case "missing":
      return [reason, "Check its name, the account and the region."];
    case "throttled":
      return [`too many calls (${reason})`, "Run it again in a minute: what is done stays done."];
    case "not-in-region":
      return [
        `this account has no such service in this region (${reason})`,
        "Name the region that you send from: --region, AWS_REGION.",
      ];
    case "unknown-host":
      return [
        `the host of the API cannot be found (${reason})`,
        "Check the region (--region, AWS_REGION), AWS_ENDPOINT_URL, and that names are resolved here.",
      ];
    case "unreachable":
      return [
        `AWS cannot be reached (${reason})`,
        "Check the network, proxies and AWS_ENDPOINT_URL, then run it again: what is done stays done.",
      ];
    case "other":
      return [`${name}: ${reason}`, "What was done before stays done; --dry-run shows what is left."];
    default:
      throw new Error(`unreachable: ${kind satisfies never}`);
  }
}

export type AwsErrorKind =
  /** The SDK finds no credentials. */
  | "no-credentials"
  | "refused-credentials"
  | "denied"
  | "missing"
  | "throttled"
  /** The account has no such service in the region. */
  | "not-in-region"
  /** The name of the API's host cannot be found, as with a region that there is not. */
  | "unknown-host"
  | "unreachable"
  | "other";

/** Why a call to AWS failed, as far as that tells what to do. @property reason one line, without what AWS signed. */
type AwsFailure = { kind: AwsErrorKind; name: string; reason: string };

const AwsError = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string().optional().catch(undefined),
});

/** The names by which the three APIs say one thing. */
const kindsOfNames: readonly [AwsErrorKind, RegExp][] = [
  ["no-credentials", /^(CredentialsProviderError|TokenProviderError)$/],
  [
    "refused-credentials",
    /^(InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidAccessKeyId|MissingAuthenticationToken|RequestExpired|InvalidSecurity|AuthFailure)/,
  ],
  ["missing", /^(NotFound|QueueDoesNotExist|ResourceNotFound)|NonExistentQueue$/],
  ["denied", /^(AccessDenied|AuthorizationError|UnauthorizedOperation|KMSAccessDenied|KmsAccessDenied)/],
  ["not-in-region", /^(OptInRequired|SubscriptionRequiredException)$/],
  ["throttled", /Throttl|TooManyRequests|RequestLimit|SlowDown/],
  ["unreachable", /^(TimeoutError|AbortError)$/],
];

function awsFailure(error: unknown): AwsFailure {
  const parsed = AwsError.safeParse(error);
  const { name, message, code } = parsed.data ?? { name: "Error", message: String(error), code: undefined };
  // AWS puts the text that it signed, and more, below its first line.
  const text = message.split("\n")[0] || code || name;
  return { kind: kindOf(name, text, code), name, reason: name === "AbortError" ? "no answer in time" : text };
}

function kindOf(name: string, text: string, code: string | undefined): AwsErrorKind {
  // SQS says it in the text when a queue of another account is asked for.
  if (/is not authorized to perform|no identity-based policy allows/.test(text)) return "denied";
  const named = kindsOfNames.find(([, pattern]) => pattern.test(name));
  if (named) return named[0];
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "unknown-host";
  const isOfNetwork =
    code !== undefined && /^(E[A-Z_]+|UND_ERR_.+|CERT_.+|DEPTH_ZERO_.+|SELF_SIGNED_.+)$/.test(code);
  return isOfNetwork ? "unreachable" : "other";
}

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
