import { AwsCallError, awsFailures } from "../../aws/failure.ts";
import { fail, type Observation, warn } from "./check.ts";
import { ended } from "./wording.ts";

/** How to give credentials. */
export const credentialsRemedy =
  "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them; it only reads.";

/**
 * Why something could not be read in AWS.
 * @param subject as in `the topic ses-events`.
 * @throws what is no failure of a call.
 */
export function awsTrouble(subject: string, error: unknown): Observation {
  if (!(error instanceof AwsCallError)) throw error;
  const { kind, action, reason } = error;
  const { level, say, remedy } = awsFailures[kind].read;
  const unread = { subject, action, reason: ended(reason) };
  return (level === "fail" ? fail : warn)(say(unread), remedy(unread));
}
