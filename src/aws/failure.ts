import { z } from "zod";

/** A call to AWS failed. The text tells which, why, and what to do about it. */
export class AwsCallError extends Error {
  override readonly name = "AwsCallError";
  readonly kind: Failure["kind"];

  constructor(kind: Failure["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

type Failure = {
  kind: "credentials" | "denied" | "not-found" | "region" | "network" | "throttled" | "other";
  /** What AWS said is told only where it helps. */
  reason: string;
  remedy: string;
};

const AwsError = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string().optional(),
});

const missingNames = new Set([
  "NotFoundException",
  "NotFound",
  "QueueDoesNotExist",
  "AWS.SimpleQueueService.NonExistentQueue",
]);
const deniedPattern =
  /^(AccessDenied|AuthorizationError|UnauthorizedOperation|KMSAccessDenied|KmsAccessDenied)/;
const refusedKeyPattern =
  /^(InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidAccessKeyId|MissingAuthenticationToken|RequestExpired|InvalidSecurity|AuthFailure)/;

/**
 * @param action as in a policy: `sns:CreateTopic`.
 * @param subject what it was about: `the topic ses-events`.
 */
export function awsCallError(action: string, subject: string, error: unknown): AwsCallError {
  const { kind, reason, remedy } = describe(action, error);
  const stop = /[.!?]$/.test(reason) ? "" : ".";
  return new AwsCallError(kind, `${action}, for ${subject}: ${reason}${stop} ${remedy}`);
}

/** Whether AWS said that there is no such thing. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && missingNames.has(error.name);
}

function describe(action: string, error: unknown): Failure {
  const { name, message, code } = AwsError.parse(error);
  // AWS puts the text that it signed below its first line.
  const reason = message.split("\n")[0] || name;
  return (
    credentialFailure(name, reason) ?? networkFailure(code, reason) ?? answeredFailure(action, name, reason)
  );
}

function credentialFailure(name: string, reason: string): Failure | null {
  if (name === "CredentialsProviderError" || name === "TokenProviderError") {
    return {
      kind: "credentials",
      reason: `there are no AWS credentials (${reason})`,
      remedy:
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them. --dry-run works without.",
    };
  }
  if (!refusedKeyPattern.test(name)) return null;
  return {
    kind: "credentials",
    reason: `AWS refuses the credentials (${name}: ${reason})`,
    remedy: "Check the access key, its secret and session token, and this machine's clock.",
  };
}

function networkFailure(code: string | undefined, reason: string): Failure | null {
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return {
      kind: "region",
      reason: `the host of the API cannot be found (${reason})`,
      remedy: "Check the region (--region, AWS_REGION), AWS_ENDPOINT_URL, and that names are resolved here.",
    };
  }
  if (code === undefined || !/^(E[A-Z]+|UND_ERR_.+|CERT_.+|DEPTH_ZERO_.+)$/.test(code)) return null;
  return {
    kind: "network",
    reason: `AWS cannot be reached (${reason || code})`,
    remedy: "Check the network, proxies and AWS_ENDPOINT_URL, then run it again: what is done stays done.",
  };
}

function answeredFailure(action: string, name: string, reason: string): Failure {
  if (deniedPattern.test(name)) {
    return {
      kind: "denied",
      reason: `AWS does not allow it (${reason})`,
      remedy: `The caller needs ${action}; --dry-run prints the whole policy that it needs.`,
    };
  }
  if (missingNames.has(name)) {
    return { kind: "not-found", reason, remedy: "Check its name, the account and the region." };
  }
  if (name === "OptInRequired" || name === "SubscriptionRequiredException") {
    return {
      kind: "region",
      reason: `this account has no such service in this region (${reason})`,
      remedy: "Name the region that you send from: --region, AWS_REGION.",
    };
  }
  if (/Throttl|TooManyRequests|RequestLimit|SlowDown/.test(name)) {
    return {
      kind: "throttled",
      reason: `too many calls (${reason})`,
      remedy: "Run it again in a minute: what is done stays done.",
    };
  }
  return {
    kind: "other",
    reason: `${name}: ${reason}`,
    remedy: "What was done before stays done; --dry-run shows what is left.",
  };
}
