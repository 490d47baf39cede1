import { describe, expect, test } from "vitest";
import { isQueueArn, queueOf, queueRegion } from "../../src/domain/arn.ts";

describe("a queue's URL", () => {
  test.each([
    ["https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events", "eu-west-1"],
    ["https://sqs.cn-north-1.amazonaws.com.cn/123456789012/ses-events", "cn-north-1"],
    ["https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/ses-events", "us-gov-west-1"],
    ["https://sqs.us-east-1.api.aws/123456789012/ses-events", "us-east-1"],
    ["https://eu-central-1.queue.amazonaws.com/123456789012/ses-events", "eu-central-1"],
    ["https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/ses-events", "eusc-de-east-1"],
    ["https://sqs.eusc-de-east-1.api.amazonwebservices.eu/123456789012/q", "eusc-de-east-1"],
    ["https://sqs.cn-north-1.api.amazonwebservices.com.cn/123456789012/q", "cn-north-1"],
    ["https://sqs.eusc-de-east-1.amazonaws.com/123456789012/ses-events", null],
    ["https://sqs.eu-west-1.amazonaws.eu/123456789012/ses-events", null],
    ["http://sqs.us-east-1.localhost:4566/000000000000/ses-events", null],
    ["http://127.0.0.1:4566/000000000000/ses-events", null],
    ["https://sqs.eu-west-1.amazonaws.com.example.com/123456789012/ses-events", null],
  ])("%s is in the region %s", (url, region) => {
    expect(queueRegion(url)).toBe(region);
  });

  test.each([
    [
      "https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events",
      "arn:aws:sqs:eu-west-1:123456789012:ses-events",
    ],
    [
      "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/a.fifo",
      "arn:aws-cn:sqs:cn-north-1:123456789012:a.fifo",
    ],
    [
      "https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/q",
      "arn:aws-eusc:sqs:eusc-de-east-1:123456789012:q",
    ],
    ["https://us-gov-west-1.queue.amazonaws.com/1/q", "arn:aws-us-gov:sqs:us-gov-west-1:1:q"],
    ["http://127.0.0.1:4566/000000000000/q", "arn:aws:sqs:us-west-2:000000000000:q"],
  ])("%s makes the ARN %s", (url, arn) => {
    expect(queueOf(url, "us-west-2").arn).toBe(arn);
  });

  test("is not its ARN", () => {
    expect(isQueueArn("arn:aws:sqs:eu-west-1:123456789012:ses-events")).toBe(true);
    expect(isQueueArn("arn:aws:sqs:eu-west-1:123456789012:ses-events.fifo")).toBe(true);
    expect(isQueueArn("arn:aws-eusc:sqs:eusc-de-east-1:123456789012:ses-events")).toBe(true);
    expect(isQueueArn("arn:aws:sqs:eusc-de-east-1:123456789012:ses-events")).toBe(false);
    expect(isQueueArn("arn:aws:sns:eu-west-1:123456789012:ses-events")).toBe(false);
    expect(isQueueArn("https://sqs.eu-west-1.amazonaws.com/123456789012/ses-events")).toBe(false);
  });
});
