import { LookError } from "../../aws/failure.ts";
import { fail, type Observation, warn } from "./check.ts";
import { ended } from "./wording.ts";

/** How to give credentials. */
export const credentialsRemedy =
  "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them; it only reads.";

/**
 * Why something could not be looked at in AWS.
 * @param subject as in `the topic ses-events`.
 * @throws what is no failure of a look.
 */
export function awsTrouble(subject: string, error: unknown): Observation {
  if (!(error instanceof LookError)) throw error;
  const { kind, action, message } = error;
  switch (kind) {
    case "missing":
      return fail(
        `There is no such thing as ${subject}: ${ended(message)}`,
        "Check name, account and region.",
      );
    case "denied":
      return warn(
        `AWS denies access to ${subject} (${action}), so that doctor could not look at it.`,
        `Allow ${action} to these credentials, or look at it in the AWS console.`,
      );
    case "no-credentials":
    case "refused-credentials":
      return fail(
        `AWS refuses the credentials when asked for ${subject}: ${ended(message)}`,
        "Check the access key, its secret and session token, and this machine's clock.",
      );
    case "not-in-region":
    case "unknown-host":
    case "unreachable":
      return fail(
        `AWS could not be reached to look at ${subject}: ${ended(message)}`,
        "Check the network, the region's name and AWS_ENDPOINT_URL.",
      );
    case "throttled":
      return warn(
        `AWS answers too many calls when asked for ${subject}.`,
        "Run npx fanmail doctor again in a minute, for one configuration set: --configuration-set <name>.",
      );
    case "other":
      return fail(
        `AWS could not tell of ${subject}: ${ended(message)}`,
        "Mend what it names, and run it again.",
      );
    default:
      throw new Error(`unreachable: ${kind satisfies never}`);
  }
}
