import { expect, test } from "vitest";
import { judgePolicy } from "../../../src/tools/doctor/policy.ts";

const topic = "arn:aws:sns:eu-west-1:123456789012:ses-events";
const source = "arn:aws:ses:eu-west-1:123456789012:configuration-set/my-set";
const ses = { Service: "ses.amazonaws.com" };

const judge = (text: string) =>
  judgePolicy(text, {
    service: "ses.amazonaws.com",
    action: "sns:Publish",
    resource: topic,
    account: "123456789012",
    isSource: (pattern) => pattern === source,
  });
const grant = { Effect: "Allow", Principal: ses, Action: "SNS:Publish", Resource: topic };

test.each([
  ["names the service", grant, "allowed"],
  ["grants everything to everyone", { ...grant, Principal: "*", Action: "*", Resource: "*" }, "allowed"],
  [
    "has lists",
    {
      ...grant,
      Principal: { AWS: ["1"], Service: ["a", "ses.amazonaws.com"] },
      Action: ["sns:Get*", "sns:Pub*"],
    },
    "allowed",
  ],
  [
    "is the one that SNS gives to a new topic",
    {
      ...grant,
      Principal: { AWS: "*" },
      Action: ["SNS:Subscribe", "SNS:Publish"],
      Condition: { StringEquals: { "AWS:SourceOwner": "123456789012" } },
    },
    "allowed",
  ],
  ["names the source", { ...grant, Condition: { ArnLike: { "aws:SourceArn": ["x", source] } } }, "allowed"],
  [
    "names another source",
    { ...grant, Condition: { StringEquals: { "AWS:SourceArn": `${source}-2` } } },
    "denied",
  ],
  [
    "names another account",
    { ...grant, Condition: { StringEquals: { "aws:SourceAccount": "2" } } },
    "denied",
  ],
  ["names another service", { ...grant, Principal: { Service: "s3.amazonaws.com" } }, "denied"],
  ["names an account", { ...grant, Principal: { AWS: "arn:aws:iam::123456789012:root" } }, "denied"],
  ["is about another action", { ...grant, Action: "sns:Subscribe" }, "denied"],
  ["is about another topic", { ...grant, Resource: `${topic}-2` }, "denied"],
  [
    "has a condition that cannot be judged",
    { ...grant, Condition: { Bool: { "aws:SecureTransport": "true" } } },
    "unsure",
  ],
])("a policy that %s", (_name, statement, permission) => {
  expect(judge(JSON.stringify({ Version: "2012-10-17", Statement: [statement] }))).toBe(permission);
  expect(judge(JSON.stringify({ Statement: statement }))).toBe(permission);
});

test("a Deny overrides an Allow, unless it has conditions", () => {
  const refusal = { Effect: "Deny", Principal: "*", Action: "sns:*", Resource: topic };
  const overPlainHttp = { ...refusal, Condition: { Bool: { "aws:SecureTransport": "false" } } };

  expect(judge(JSON.stringify({ Statement: [grant, refusal] }))).toBe("denied");
  expect(judge(JSON.stringify({ Statement: [grant, overPlainHttp] }))).toBe("allowed");
});

test("no policy denies; one that cannot be parsed is unsure", () => {
  expect(judge("")).toBe("denied");
  expect(judge("{}")).toBe("unsure");
  expect(judge("not JSON")).toBe("unsure");
});
