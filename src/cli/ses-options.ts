import type { SesConnection, Target } from "../aws/ses-connection.ts";
import { isRegion } from "../domain/arn.ts";
import { parseUrl } from "../domain/url.ts";
import { UsageError } from "./command.ts";

/** Options of both `fanmail ses connect` and `disconnect`. */
export const sharedOptions = {
  "configuration-set": { type: "string" },
  https: { type: "string" },
  queue: { type: "string" },
  topic: { type: "string", default: "ses-events" },
  region: { type: "string" },
  regions: { type: "string" },
  account: { type: "string" },
  "dry-run": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

type Given = {
  "configuration-set"?: string | undefined;
  https?: string | undefined;
  queue?: string | undefined;
  topic: string;
};

/** @throws UsageError that names the wrong option. */
export function readConnection(values: Given, createsConfigurationSet = false): SesConnection {
  const configurationSet = values["configuration-set"];
  if (configurationSet === undefined)
    throw new UsageError("Name the configuration set that you send with: --configuration-set my-set");
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(configurationSet))
    throw new UsageError("--configuration-set takes up to 64 letters, digits, - and _");
  if (!/^[A-Za-z0-9_-]{1,256}$/.test(values.topic))
    throw new UsageError("--topic takes the name of a standard topic: up to 256 letters, digits, - and _");
  return {
    configurationSet,
    createsConfigurationSet,
    topic: values.topic,
    target: readTarget(values.https, values.queue),
  };
}

function readTarget(url: string | undefined, queue: string | undefined): Target | null {
  if (url !== undefined && queue !== undefined)
    throw new UsageError("Give one of --https and --queue; another can be connected afterwards");
  if (url !== undefined) return { kind: "https", url: readEndpoint(url) };
  if (queue === undefined) return null;
  // SQS takes 80; its dead-letter queue has five more.
  if (!/^[A-Za-z0-9_-]{1,75}$/.test(queue))
    throw new UsageError("--queue takes the name of a standard queue: up to 75 letters, digits, - and _");
  return { kind: "queue", name: queue };
}

function readEndpoint(text: string): string {
  const url = parseUrl(text);
  if (url?.protocol !== "https:" || url.username || url.password || url.hash)
    throw new UsageError(
      "--https takes an https URL without user and fragment: https://fanmail.example.com/ingest/sns",
    );
  // Terraform and CloudFormation would read braces as references.
  return url.href.replaceAll("{", "%7B").replaceAll("}", "%7D");
}

/**
 * The regions of `--region` or `--regions`, each once; a single null when neither is given.
 * @throws UsageError that names what is wrong.
 */
export function readRegions(one: string | undefined, several: string | undefined): (string | null)[] {
  if (one !== undefined && several !== undefined) throw new UsageError("Give one of --region and --regions");
  if (several !== undefined)
    return [...new Set(several.split(",").map((text) => readRegion(text.trim(), "--regions")))];
  return [one === undefined ? null : readRegion(one, "--region")];
}

function readRegion(text: string, option: string): string {
  if (isRegion(text)) return text;
  const form = option === "--regions" ? "regions such as eu-west-1,us-east-1" : "a region such as eu-west-1";
  throw new UsageError(`${option} takes ${form}, not "${text}"`);
}

/** Stands for the caller's account while that is unknown. */
const placeholderAccount = "123456789012";

export function readAccount(text = placeholderAccount): string {
  if (!/^\d{12}$/.test(text)) throw new UsageError("--account takes the 12 digits of an AWS account");
  return text;
}

export function readWaitSeconds(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new UsageError("--wait takes whole seconds, up to 9999");
  return Number(text);
}
