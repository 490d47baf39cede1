import { mkdtemp, rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseSnsMessage, type SnsConfirmation } from "../../src/domain/mail/sns-message.ts";
import { confirmSubscription } from "../../src/receive/aws-documents.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { snsSigner, testTopic } from "../support/sns-signer.ts";

const confirmed = "<ConfirmSubscriptionResponse/>";
const token = "2336412f37fb687f/5d51e6e&2425a8a";

let directory: string;
let aws: AwsStub;
const dispatcher = async () => aws.dispatcher;
let answer: (url: string, response: ServerResponse) => void;
let message: SnsConfirmation;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-confirm-"));
  aws = await awsStub((url, response) => answer(url, response));
  const fields = (await snsSigner(directory)).confirmation("SubscriptionConfirmation", {
    Token: token,
    SubscribeURL: "https://elsewhere.example/?Action=ConfirmSubscription",
  });
  message = parseSnsMessage(JSON.stringify(fields)) as SnsConfirmation;
});
afterAll(async () => {
  await aws?.close();
  await rm(directory, { recursive: true, force: true });
});
afterEach(() => {
  aws.requested.length = 0;
});

const rebuilt = () => {
  const query = `Action=ConfirmSubscription&TopicArn=${encodeURIComponent(testTopic)}&Token=${encodeURIComponent(token)}`;
  return `sns.eu-west-1.amazonaws.com/?${query}`;
};

describe("confirmSubscription", () => {
  test("asks the host of the topic's region for the signed topic and token, and not SubscribeURL", async () => {
    answer = (_url, response) => response.end(confirmed);

    await confirmSubscription(message, dispatcher);

    expect(aws.requested).toEqual([rebuilt()]);
  });

  test.each([201, 204, 400, 403, 500, 503])("rejects when AWS answers %i", async (status) => {
    answer = (_url, response) => response.writeHead(status).end();

    await expect(confirmSubscription(message, dispatcher)).rejects.toThrow(
      `SNS answered ${status} to ConfirmSubscription: `,
    );
  });

  test("rejects with the beginning of the answer, in one line", async () => {
    answer = (_url, response) =>
      response.writeHead(403).end(`<Error>\n  <Code>AuthorizationError\r\n${"x".repeat(600)}`);

    const rejection = await confirmSubscription(message, dispatcher).catch((error: Error) => error.message);

    expect(rejection).toBe(
      `SNS answered 403 to ConfirmSubscription: <Error> <Code>AuthorizationError ${"x".repeat(500 - 36)}`,
    );
  });

  test.each([301, 302, 307, 308])("does not follow a redirect (%i), and rejects", async (status) => {
    answer = (url, response) => {
      if (url.startsWith("elsewhere")) response.end(confirmed);
      else response.writeHead(status, { location: "https://elsewhere.example/" }).end();
    };

    await expect(confirmSubscription(message, dispatcher)).rejects.toThrow(`SNS answered ${status}`);
    expect(aws.requested).toEqual([rebuilt()]);
  });

  test("rejects when there is no answer, or one that is too long", async () => {
    answer = (_url, response) => response.destroy();
    await expect(confirmSubscription(message, dispatcher)).rejects.toThrow();

    answer = (_url, response) => response.end("x".repeat(16 * 1024 + 1));
    await expect(confirmSubscription(message, dispatcher)).rejects.toThrow("is longer than 16384 bytes");
  });
});
