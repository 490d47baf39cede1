import { z } from "zod";

/** A call to AWS failed. The text says which, why, and what to do about it. */
export class AwsCallError extends Error {
  override readonly name = "AwsCallError";
  readonly kind: AwsErrorKind;
  /** As in a policy: `sns:CreateTopic`. */
  readonly action: string;
  /** Why, in one line, without what AWS signed. */
  readonly reason: string;

  constructor(message: string, { kind, action, reason }: Failure) {
    super(message);
    this.kind = kind;
    this.action = action;
    this.reason = reason;
  }
}

/**
 * @param action as in a policy: `sns:CreateTopic`.
 * @param subject what it was about: `the topic ses-events`.
 */
export function awsCallError(action: string, subject: string, error: unknown): AwsCallError {
  const failure = failureOf(action, error);
  const { why, remedy } = awsFailures[failure.kind].call(failure);
  const stop = /[.!?]$/.test(why) ? "" : ".";
  return new AwsCallError(`${action}, for ${subject}: ${why}${stop} ${remedy}`, failure);
}

export type AwsErrorKind =
  /** The SDK finds no credentials. */
  | "no-credentials"
  | "refused-credentials"
  | "missing"
  | "denied"
  /** The account has no such service in the region. */
  | "not-in-region"
  | "throttled"
  /** The name of the API's host cannot be found, as with a region that does not exist. */
  | "unknown-host"
  | "unreachable"
  | "other";

type Failure = { kind: AwsErrorKind; action: string; name: string; reason: string };

/** What could not be read. @property reason ends with a full stop. */
type Unread = { subject: string; action: string; reason: string };

type FailureKind = {
  /** The names that the three APIs and the SDK give to it. */
  names?: RegExp;
  /** Why a call of `fanmail ses` failed, and what to do. */
  call(failure: Failure): { why: string; remedy: string };
  /** The finding of `fanmail doctor` about what it could not read. */
  read: { level: "warn" | "fail"; say(unread: Unread): string; remedy(unread: Unread): string };
};

const credentialsRefused: FailureKind["read"] = {
  level: "fail",
  say: ({ subject, reason }) => `AWS refuses the credentials when asked for ${subject}: ${reason}`,
  remedy: () => "Check the access key, its secret and session token, and this machine's clock.",
};

const awayFromAws: FailureKind["read"] = {
  level: "fail",
  say: ({ subject, reason }) => `AWS could not be reached to look at ${subject}: ${reason}`,
  remedy: () => "Check the network, the region's name and AWS_ENDPOINT_URL.",
};

/** Why calls to AWS fail, and what to do about it. An error has the first kind whose `names` match. */
export const awsFailures: Readonly<Record<AwsErrorKind, FailureKind>> = {
  "no-credentials": {
    names: /^(CredentialsProviderError|TokenProviderError)$/,
    call: ({ reason }) => ({
      why: `there are no AWS credentials (${reason})`,
      remedy:
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them. --dry-run works without.",
    }),
    read: credentialsRefused,
  },
  "refused-credentials": {
    names:
      /^(InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|IncompleteSignature|ExpiredToken|InvalidAccessKeyId|MissingAuthenticationToken|RequestExpired|InvalidSecurity|AuthFailure)/,
    call: ({ name, reason }) => ({
      why: `AWS refuses the credentials (${name}: ${reason})`,
      remedy: "Check the access key, its secret and session token, and this machine's clock.",
    }),
    read: credentialsRefused,
  },
  missing: {
    names: /^(NotFound|QueueDoesNotExist|ResourceNotFound)|NonExistentQueue$/,
    call: ({ reason }) => ({ why: reason, remedy: "Check its name, the account and the region." }),
    read: {
      level: "fail",
      say: ({ subject, reason }) => `There is no such thing as ${subject}: ${reason}`,
      remedy: () => "Check name, account and region.",
    },
  },
  denied: {
    names: /^(AccessDenied|AuthorizationError|UnauthorizedOperation|KMSAccessDenied|KmsAccessDenied)/,
    call: ({ action, reason }) => ({
      why: `AWS does not allow it (${reason})`,
      remedy: `The caller needs ${action}; --dry-run prints the whole policy that it needs.`,
    }),
    read: {
      level: "warn",
      say: ({ subject, action }) =>
        `AWS denies access to ${subject} (${action}), so doctor could not look at it.`,
      remedy: ({ action }) => `Allow ${action} to these credentials, or look at it in the AWS console.`,
    },
  },
  "not-in-region": {
    names: /^(OptInRequired|SubscriptionRequiredException)$/,
    call: ({ reason }) => ({
      why: `this account has no such service in this region (${reason})`,
      remedy: "Name the region that you send from: --region, AWS_REGION.",
    }),
    read: awayFromAws,
  },
  throttled: {
    names: /Throttl|TooManyRequests|RequestLimit|SlowDown/,
    call: ({ reason }) => ({
      why: `too many calls (${reason})`,
      remedy: "Run it again in a minute: what is done stays done.",
    }),
    read: {
      level: "warn",
      say: ({ subject }) => `AWS answers too many calls when asked for ${subject}.`,
      remedy: () =>
        "Run npx fanmail doctor again in a minute, for one configuration set: --configuration-set <name>.",
    },
  },
  "unknown-host": {
    call: ({ reason }) => ({
      why: `the host of the API cannot be found (${reason})`,
      remedy: "Check the region (--region, AWS_REGION), AWS_ENDPOINT_URL, and that names are resolved here.",
    }),
    read: awayFromAws,
  },
  unreachable: {
    names: /^(TimeoutError|AbortError)$/,
    call: ({ reason }) => ({
      why: `AWS cannot be reached (${reason})`,
      remedy: "Check the network, proxies and AWS_ENDPOINT_URL, then run it again: what is done stays done.",
    }),
    read: awayFromAws,
  },
  other: {
    call: ({ name, reason }) => ({
      why: `${name}: ${reason}`,
      remedy: "What was done before stays done; --dry-run shows what is left.",
    }),
    read: {
      level: "fail",
      say: ({ subject, reason }) => `AWS could not answer about ${subject}: ${reason}`,
      remedy: () => "Fix what it names, and run it again.",
    },
  },
};

const AwsError = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string().optional().catch(undefined),
});

function failureOf(action: string, error: unknown): Failure {
  const parsed = AwsError.safeParse(error);
  const { name, message, code } = parsed.data ?? { name: "Error", message: String(error), code: undefined };
  // AWS puts the text that it signed, and more, below its first line.
  const text = message.split("\n")[0] || code || name;
  const reason = name === "AbortError" ? "no answer in time" : text;
  return { kind: kindOf(name, text, code), action, name, reason };
}

function kindOf(name: string, text: string, code: string | undefined): AwsErrorKind {
  // For a queue of another account SQS only says so in the text.
  if (/is not authorized to perform|no identity-based policy allows/.test(text)) return "denied";
  const kind = kinds.find((one) => awsFailures[one].names?.test(name));
  if (kind !== undefined) return kind;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "unknown-host";
  const isOfNetwork =
    code !== undefined && /^(E[A-Z_]+|UND_ERR_.+|CERT_.+|DEPTH_ZERO_.+|SELF_SIGNED_.+)$/.test(code);
  return isOfNetwork ? "unreachable" : "other";
}

/** In the order of the table. */
const kinds = Object.keys(awsFailures) as AwsErrorKind[];
