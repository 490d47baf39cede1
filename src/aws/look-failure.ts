/** A look at AWS that came to nothing. `kind` says why, as far as that tells what to do. */
export class LookError extends Error {
  override readonly name = "LookError";
  readonly kind: "missing" | "denied" | "credentials" | "unreachable" | "throttled" | "other";
  /** What the caller needs to be allowed, as a policy writes it: `sns:GetTopicAttributes`. */
  readonly action: string;

  constructor(action: string, cause: unknown) {
    const { name, message } = cause instanceof Error ? cause : { name: "Error", message: String(cause) };
    // What AWS signed, and more, stands below the first line.
    const text =
      name === "AbortError" ? "no answer in time" : message.split("\n")[0] || codeOf(cause) || name;
    super(text, { cause });
    this.kind = kindOf(name, text, codeOf(cause));
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

const patterns: readonly [LookError["kind"], RegExp][] = [
  ["missing", /^(NotFound|QueueDoesNotExist|ResourceNotFound)|NonExistentQueue$/],
  ["denied", /^(AccessDenied|AuthorizationError|UnauthorizedOperation|KMSAccessDenied|KmsAccessDenied)/],
  [
    "credentials",
    /^(InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidAccessKeyId|MissingAuthenticationToken|RequestExpired|InvalidSecurity|AuthFailure|CredentialsProviderError|TokenProviderError)/,
  ],
  ["throttled", /Throttl|TooManyRequests|RequestLimit|SlowDown/],
];

function kindOf(name: string, text: string, code: string | undefined): LookError["kind"] {
  // SQS says it in the text when a queue of another account is asked for.
  if (/is not authorized to perform|no identity-based policy allows/.test(text)) return "denied";
  const named = patterns.find(([, pattern]) => pattern.test(name));
  if (named) return named[0];
  const isOfNetwork = code !== undefined && /^(E[A-Z_]+|UND_ERR_|CERT_|DEPTH_ZERO_|SELF_SIGNED_)/.test(code);
  return isOfNetwork || name === "TimeoutError" || name === "AbortError" ? "unreachable" : "other";
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
