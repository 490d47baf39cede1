import { z } from "zod";

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
export type AwsFailure = { kind: AwsErrorKind; name: string; reason: string };

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

export function awsFailure(error: unknown): AwsFailure {
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
