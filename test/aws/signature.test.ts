import { ListTopicsCommand, SNSClient } from "@aws-sdk/client-sns";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AwsApiStub, awsApiStub } from "../support/aws-api-stub.ts";

/*
 * The stub of AWS is only worth something if it refuses what AWS refuses.
 */

let aws: AwsApiStub;

beforeAll(async () => {
  aws = await awsApiStub();
});
afterAll(() => aws?.close());

const client = (credentials: { accessKeyId: string; secretAccessKey: string }) =>
  new SNSClient({ region: "eu-west-1", endpoint: aws.url, credentials, maxAttempts: 1 });

/** A request as the SDK signs it. */
async function signedRequest(): Promise<{ headers: Record<string, string>; body: string }> {
  const sns = client(aws.credentials);
  let caught: { headers: Record<string, string>; body: string } | undefined;
  sns.middlewareStack.add(
    (next) => async (args) => {
      caught = structuredClone(args.request) as { headers: Record<string, string>; body: string };
      return next(args);
    },
    { step: "finalizeRequest", priority: "low" },
  );
  await sns.send(new ListTopicsCommand({}));
  return caught!;
}

const post = async (headers: Record<string, string>, body: string) => {
  const { "content-length": _, host: __, ...rest } = headers;
  return (await fetch(aws.url, { method: "POST", headers: rest, body })).status;
};

test("a request that the SDK signs is accepted; with a wrong secret or another key it is refused", async () => {
  const right = await client(aws.credentials).send(new ListTopicsCommand({}));
  expect(right.$metadata.httpStatusCode).toBe(200);
  await expect(
    client({ ...aws.credentials, secretAccessKey: "wrong" }).send(new ListTopicsCommand({})),
  ).rejects.toMatchObject({ name: "SignatureDoesNotMatch", $metadata: { httpStatusCode: 403 } });
  await expect(
    client({ ...aws.credentials, accessKeyId: "AKIAOTHER" }).send(new ListTopicsCommand({})),
  ).rejects.toMatchObject({ name: "InvalidClientTokenId" });
});

test("a signed request is refused when its body, a signed header or its date is changed, and without signature", async () => {
  const { headers, body } = await signedRequest();
  expect(await post(headers, body)).toBe(200);
  expect(await post(headers, body.replace("ListTopics", "ListTopicz"))).toBe(403);
  expect(await post({ ...headers, "x-amz-user-agent": "another" }, body)).toBe(403);
  expect(await post({ ...headers, "x-amz-date": "20200101T000000Z" }, body)).toBe(403);
  const { authorization: _, ...unsigned } = headers;
  expect(await post(unsigned, body)).toBe(403);
});
