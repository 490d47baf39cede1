import { parseArn } from "../../domain/arn.ts";
import { parseUrl } from "../../domain/url.ts";

/** A time span in one unit: `3 minutes`, `2 days`. */
export function spanText(seconds: number): string {
  const steps: [string, number][] = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ];
  const [unit, length] = steps.find(([, size]) => seconds >= 2 * size) ?? ["second", 1];
  return counted(Math.floor(seconds / length), unit);
}

/** `1 batch`, `2 batches`. */
export function counted(count: number, what: string): string {
  const plural = /(ch|s)$/.test(what) ? `${what}es` : `${what}s`;
  return `${count.toLocaleString("en")} ${count === 1 ? what : plural}`;
}

export function bytesText(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)));
  return `${Math.round(bytes / 1024 ** power)} ${units[power]}`;
}

/** A text from elsewhere as the end of a sentence. */
export function ended(text: string): string {
  return `${text.replace(/[.\s]+$/, "")}.`;
}

/** The beginning of a text, in one line. */
export function excerpt(text: string, length = 160): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= length ? line : `${line.slice(0, length)}…`;
}

/** The host of a URL, without its path, which may contain a token. */
export function hostOf(url: string): string {
  return parseUrl(url)?.host ?? "its URL is malformed";
}

/** A topic or an SQS queue in a sentence: `ses-events (eu-west-1)`. */
export function nameOf(arn: string): string {
  const { resource, region } = parseArn(arn);
  return `${resource} (${region})`;
}
