import { expect, test } from "vitest";
import { awsCallError } from "../../src/aws/failure.ts";

/** As the SDK throws it. */
const thrown = (name: string, message: string, code?: string) =>
  Object.assign(new Error(message), { name, ...(code && { code }) });

test.each([
  [
    thrown("Error", "getaddrinfo ENOTFOUND sns.eu-wst-1.amazonaws.com", "ENOTFOUND"),
    "unknown-host",
    "Check the region",
  ],
  [thrown("Error", "read ECONNRESET", "ECONNRESET"), "unreachable", "what is done stays done"],
  [
    thrown("Error", "self-signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT"),
    "unreachable",
    "AWS cannot be reached",
  ],
  [
    thrown("ExpiredTokenException", "The token is expired"),
    "refused-credentials",
    "session token, and this machine's clock",
  ],
  [thrown("AuthorizationErrorException", "No"), "denied", "The caller needs sns:CreateTopic"],
  [thrown("OptInRequired", "No"), "not-in-region", "Name the region that you send from"],
  [thrown("ThrottlingException", "Rate exceeded"), "throttled", "Run it again in a minute"],
  [
    thrown("InvalidParameterException", "Invalid parameter: Name"),
    "other",
    "InvalidParameterException: Invalid",
  ],
])("%s is reported with the call, its subject and what to do", (error, kind, text) => {
  const failure = awsCallError("sns:CreateTopic", "the topic ses-events", error);
  expect(failure.kind).toBe(kind);
  expect(failure.message).toMatch(/^sns:CreateTopic, for the topic ses-events: /);
  expect(failure.message).toContain(text);
});

test("what AWS signed, which it repeats below its first line, is left out", () => {
  const error = thrown("SignatureDoesNotMatch", "It does not match.\n\nThe Canonical String was 'POST\n/'");
  expect(awsCallError("sns:ListTopics", "the topics", error).message).not.toContain("Canonical");
});
