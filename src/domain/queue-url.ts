import { isArn, isSuffixOf, partitionOf } from "./aws-partition.ts";

/** The region of a queue, from its URL; null where the URL does not tell, as with an emulator. */
export function queueRegion(queueUrl: string): string | null {
  // https://sqs.<region>.amazonaws.com/…, its FIPS spelling, and the older https://<region>.queue.amazonaws.com/…
  const [, modern, older, suffix = ""] =
    /^(?:(?:sqs|sqs-fips)\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.(.+)$/.exec(new URL(queueUrl).hostname) ?? [];
  const region = modern ?? older;
  return region !== undefined && isSuffixOf(region, suffix) ? region : null;
}

/** Where a queue is, and its ARN, from its URL. @param usualRegion where the URL does not tell the region. */
export function queueOf(queueUrl: string, usualRegion: string | null): { region: string; arn: string } {
  const [account, name] = new URL(queueUrl).pathname.split("/").filter(Boolean).slice(-2);
  const region = queueRegion(queueUrl) ?? usualRegion ?? "us-east-1";
  return { region, arn: `arn:${partitionOf(region)}:sqs:${region}:${account}:${name}` };
}

/** Raw notifications that come through a queue belong to it as others do to a topic. */
export function isQueueArn(text: string): boolean {
  return isArn(text, "sqs", /^[A-Za-z0-9_-]{1,80}(\.fifo)?$/);
}
