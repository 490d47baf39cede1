/*
 * The partitions of AWS. Each has accounts, ARNs and host names of its own, and none reaches another.
 * Source: the table of partitions in the AWS SDK (`partitions.json`).
 */

type Partition = {
  /** As ARNs have it. */
  name: string;
  /** What the names of its regions begin with, and those of no other partition. */
  regionPrefix: string;
  /** Of the hosts of its APIs: `sns.<region>.<suffix>`. */
  suffix: string;
  /** Of hosts that answer IPv6 too. */
  dualStackSuffix: string;
};

const commercial: Partition = {
  name: "aws",
  regionPrefix: "",
  suffix: "amazonaws.com",
  dualStackSuffix: "api.aws",
};

const others: readonly Partition[] = [
  {
    name: "aws-cn",
    regionPrefix: "cn-",
    suffix: "amazonaws.com.cn",
    dualStackSuffix: "api.amazonwebservices.com.cn",
  },
  { name: "aws-us-gov", regionPrefix: "us-gov-", suffix: "amazonaws.com", dualStackSuffix: "api.aws" },
  {
    name: "aws-eusc",
    regionPrefix: "eusc-",
    suffix: "amazonaws.eu",
    dualStackSuffix: "api.amazonwebservices.eu",
  },
  { name: "aws-iso", regionPrefix: "us-iso-", suffix: "c2s.ic.gov", dualStackSuffix: "api.aws.ic.gov" },
  { name: "aws-iso-b", regionPrefix: "us-isob-", suffix: "sc2s.sgov.gov", dualStackSuffix: "api.aws.scloud" },
  {
    name: "aws-iso-e",
    regionPrefix: "eu-isoe-",
    suffix: "cloud.adc-e.uk",
    dualStackSuffix: "api.cloud-aws.adc-e.uk",
  },
  {
    name: "aws-iso-f",
    regionPrefix: "us-isof-",
    suffix: "csp.hci.ic.gov",
    dualStackSuffix: "api.aws.hci.ic.gov",
  },
];

/** `eu-west-1`, `us-gov-west-1`, `eusc-de-east-1`. */
const regionPattern = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;

/** Whether a text has the form of a region's name; there may be no such region. */
export function isRegion(text: string): boolean {
  return regionPattern.test(text);
}

/** The name of the partition that a region belongs to. */
export function partitionOf(region: string): string {
  return partitionWith(region).name;
}

/** The host of an API in a region: `sns.eu-west-1.amazonaws.com`. */
export function awsHost(service: string, region: string): string {
  return `${service}.${region}.${partitionWith(region).suffix}`;
}

/** Whether the hosts of a region's APIs end so, after the region. */
export function isSuffixOf(region: string, text: string): boolean {
  const { suffix, dualStackSuffix } = partitionWith(region);
  return text === suffix || text === dualStackSuffix;
}

/** Whether a text is an ARN of a service whose region is one of its partition. @param name what the last part must be. */
export function isArn(text: string, service: string, name: RegExp): boolean {
  const [prefix, partition, ofService, region = "", account = "", resource = "", ...more] = text.split(":");
  return (
    prefix === "arn" &&
    ofService === service &&
    /^[a-z0-9-]+$/.test(region) &&
    partition === partitionOf(region) &&
    /^\d{12}$/.test(account) &&
    name.test(resource) &&
    more.length === 0
  );
}

function partitionWith(region: string): Partition {
  return others.find(({ regionPrefix }) => region.startsWith(regionPrefix)) ?? commercial;
}

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
