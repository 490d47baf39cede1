/*
 * Reads and builds ARNs, URLs of SQS queues and host names of AWS.
 */

/** Where in AWS something is. */
export type AwsPlace = { partition: string; region: string; account: string };

/** @property resource what follows the account: `ses-events`, `configuration-set/my-set`. */
export type Arn = AwsPlace & { service: string; resource: string };

/** The parts of an ARN. Missing parts are empty, and so are all when the text is not an ARN. */
export function parseArn(text: string): Arn {
  const [, partition = "", service = "", region = "", account = "", ...resource] = text.startsWith("arn:")
    ? text.split(":")
    : [];
  return { partition, service, region, account, resource: resource.join(":") };
}

/** The last part of an ARN: the name of a topic, a queue or a function. */
export function arnName(arn: string): string {
  return arn.split(":").at(-1) ?? "";
}

/** The part before the resource, also of a pattern: `arn:aws:ses:*:123456789012:`. */
export function arnHead(pattern: string): string {
  return `${pattern.split(":").slice(0, 5).join(":")}:`;
}

export function topicArn(place: AwsPlace, topic: string): string {
  return arnOf(place, "sns", topic);
}

export function queueArn(place: AwsPlace, queue: string): string {
  return arnOf(place, "sqs", queue);
}

/** Without a resource: the beginning of the ARNs of all SES resources there. */
export function sesArn(place: AwsPlace, resource = ""): string {
  return arnOf(place, "ses", resource);
}

export function configurationSetArn(place: AwsPlace, name: string): string {
  return sesArn(place, `configuration-set/${name}`);
}

function arnOf({ partition, region, account }: AwsPlace, service: string, resource: string): string {
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}

const parts = /^arn:([^:]*):([^:]*):([a-z0-9-]+):\d{12}:(.*)$/s;

/** Whether a text is an ARN of a service whose region is in its partition. @param name what the resource must be. */
export function isArn(text: string, service: string, name: RegExp): boolean {
  const [, partition, ofService, region = "", resource = ""] = parts.exec(text) ?? [];
  return ofService === service && partition === partitionOf(region) && name.test(resource);
}

/** Raw notifications that arrive through a queue belong to the queue, as others belong to a topic. */
export function isQueueArn(text: string): boolean {
  return isArn(text, "sqs", /^[A-Za-z0-9_-]{1,80}(\.fifo)?$/);
}

/** The region of a queue, from its URL; null when the URL does not contain it, as with an emulator. */
export function queueRegion(queueUrl: string): string | null {
  // https://sqs.<region>.amazonaws.com/…, its FIPS spelling, and the older https://<region>.queue.amazonaws.com/…
  const [, modern, older, suffix = ""] =
    /^(?:(?:sqs|sqs-fips)\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.(.+)$/.exec(new URL(queueUrl).hostname) ?? [];
  const region = modern ?? older;
  return region !== undefined && isSuffixOf(region, suffix) ? region : null;
}

/** The region and ARN of a queue, from its URL. @param usualRegion for URLs without a region. */
export function queueOf(queueUrl: string, usualRegion: string | null): { region: string; arn: string } {
  const [account = "", name = ""] = new URL(queueUrl).pathname.split("/").filter(Boolean).slice(-2);
  const region = queueRegion(queueUrl) ?? usualRegion ?? "us-east-1";
  return { region, arn: queueArn({ partition: partitionOf(region), region, account }, name) };
}

/*
 * The partitions of AWS. Each has its own accounts, ARNs and host names, and none can reach another.
 * Source: the table of partitions in the AWS SDK (`partitions.json`).
 */

type Partition = {
  /** As in ARNs. */
  name: string;
  /** The prefix of its region names, and of no others. */
  regionPrefix: string;
  /** Of its API hosts: `sns.<region>.<suffix>`. */
  suffix: string;
  /** Of hosts that also answer over IPv6. */
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

/** Whether a text looks like a region name; the region may not exist. */
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

/** Whether API hosts of a region end with a text, after the region. */
export function isSuffixOf(region: string, text: string): boolean {
  const { suffix, dualStackSuffix } = partitionWith(region);
  return text === suffix || text === dualStackSuffix;
}

function partitionWith(region: string): Partition {
  return others.find(({ regionPrefix }) => region.startsWith(regionPrefix)) ?? commercial;
}
