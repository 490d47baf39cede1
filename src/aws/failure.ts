import { type AwsErrorKind, type AwsFailure, awsFailure } from "./error-kind.ts";

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
