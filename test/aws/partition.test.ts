import { SQSClient } from "@aws-sdk/client-sqs";
import { expect, test } from "vitest";
import { awsHost, isSuffixOf } from "../../src/domain/arn.ts";

test.each([
  "eu-west-1",
  "ap-southeast-7",
  "mx-central-1",
  "us-gov-east-1",
  "cn-northwest-1",
  "eusc-de-east-1",
  "us-iso-east-1",
  "us-isob-west-1",
  "eu-isoe-west-1",
  "us-isof-south-1",
])("the hosts of %s are those that the AWS SDK uses", (region) => {
  const host = (UseDualStack: boolean) =>
    endpoint({ Region: region, UseDualStack, UseFIPS: false }).url.hostname;

  expect(awsHost("sqs", region)).toBe(host(false));
  expect(isSuffixOf(region, host(true).slice(`sqs.${region}.`.length))).toBe(true);
});

function endpoint(parameters: { Region: string; UseDualStack: boolean; UseFIPS: boolean }) {
  const client = new SQSClient({ region: parameters.Region });
  return client.config.endpointProvider(parameters);
}
