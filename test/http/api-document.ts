import { readFileSync } from "node:fs";

/*
 * docs/api.md as tests read it. Below the heading of an endpoint (### `GET /v1/activity`) an example is one curl command in a
 * block `sh`; a line of code spans, the first of which is the status (`201 Created`, `Idempotency-Replayed: true`); and
 * the answer in a block `json` or `csv`. Refusals are the rows of a table: what to ask with, status and message.
 */

export type Example = {
  /** The endpoint under which it stands; null elsewhere. */
  operation: string | null;
  /** Where the command begins in the page. */
  line: number;
  command: string;
  status: number;
  headers: Readonly<Record<string, string>>;
  answer: { kind: "json"; body: unknown } | { kind: "csv"; text: string };
};

/** @property asked a query, a body of JSON, or a path to ask in place of the endpoint's own. */
type Refusal = { operation: string; asked: string; status: number; message: string };

/** @property operation as in a heading: `GET /v1/activity/:id`. */
type Endpoint = { operation: string; scope: string | null; inputs: string[] };

export type ApiDocument = {
  examples: Example[];
  refusals: Refusal[];
  endpoints: Endpoint[];
  /** The table of errors: each status and its meaning. */
  errors: Readonly<Record<string, string>>;
  /** Blocks that look like a part of an example; each must be one. */
  blocks: number;
};

const fence = "```";
const exampleBlocks = new RegExp(
  `^${fence}sh\\n(curl .*?)\\n${fence}\\n\\n(\`\\d{3} [^\\n]*)\\n\\n${fence}(json|csv)\\n(.*?\\n)${fence}$`,
  "gms",
);
const exampleParts = new RegExp(`^(?:curl |${fence}(?:json|csv)$)`, "gm");
const refusalRows = /^\| `([^|]+)` \| (\d{3}) \| `([^|]+)` \|$/gm;
const errorRows = /^\| (\d{3}) \| (.+) \|$/gm;
const inputRows = /^\| (`[^|]+) \| (?:path|query|header|body) \| [^|]+ \|$/gm;

export function readApiDocument(): ApiDocument {
  const text = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");
  const sections = sectionsOf(text);
  return {
    examples: sections.flatMap(examplesOf),
    refusals: sections.flatMap(({ operation, part }) => (operation ? refusalsOf(operation, part) : [])),
    endpoints: sections.flatMap(({ operation, part }) => (operation ? [endpointOf(operation, part)] : [])),
    errors: Object.fromEntries([...text.matchAll(errorRows)].map(([, status, meaning]) => [status, meaning])),
    blocks: text.match(exampleParts)?.length ?? 0,
  };
}

/** @property before what of the page stands before it. */
type Section = { operation: string | null; before: string; part: string };

function sectionsOf(text: string): Section[] {
  const parts = text.split(/^(?=#{1,4} )/m);
  return parts.map((part, place) => ({
    operation: /^### `([A-Z]+ \/\S*)`\n/.exec(part)?.[1] ?? null,
    before: parts.slice(0, place).join(""),
    part,
  }));
}

function examplesOf({ operation, before, part }: Section): Example[] {
  return [...part.matchAll(exampleBlocks)].map((match) => {
    const [, command = "", told = "", language, answer = ""] = match;
    const [status = "", ...headers] = codeSpans(told);
    const fences = `${before}${part.slice(0, match.index)}`.split("\n").length;
    return {
      operation,
      line: fences + 1,
      command,
      status: Number.parseInt(status, 10),
      headers: Object.fromEntries(headers.map(headerOf)),
      answer: language === "csv" ? { kind: "csv", text: answer } : { kind: "json", body: JSON.parse(answer) },
    };
  });
}

function refusalsOf(operation: string, section: string): Refusal[] {
  return [...section.matchAll(refusalRows)].map(([, asked = "", status, message = ""]) => ({
    operation,
    asked,
    status: Number(status),
    message,
  }));
}

function endpointOf(operation: string, section: string): Endpoint {
  return {
    operation,
    scope: /\bScope `([^`]+)`/.exec(section)?.[1] ?? null,
    inputs: [...section.matchAll(inputRows)].flatMap(([, names = ""]) => codeSpans(names)),
  };
}

function codeSpans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

function headerOf(text: string): [string, string] {
  const [name = "", ...value] = text.split(": ");
  return [name.toLowerCase(), value.join(": ")];
}

/** @property headers with lower-cased names. */
export type CurlRequest = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
};

/** What stands for `$NAME`, and for the contents of `@file`. */
export type ShellNames = Readonly<Record<string, string>>;

/**
 * What a curl command asks, as far as the page uses curl and the shell.
 * @throws Error on everything else.
 */
export function readCurl(command: string, names: ShellNames): CurlRequest {
  const [curl, ...words] = shellWords(command, names);
  if (curl !== "curl") fail(`This is no curl command: ${command}`);
  const { method, headers, data, urls, isQuery } = readOptions(words, names);
  const [url = fail("There is no URL"), ...others] = urls;
  if (others.length > 0) fail(`There is more than one URL: ${others}`);
  if (data.length === 0) return { method: method ?? "GET", url, headers };
  const joined = data.join("&");
  if (isQuery) return { method: method ?? "GET", url: `${url}?${joined}`, headers };
  const form = { "content-type": "application/x-www-form-urlencoded" };
  return { method: method ?? "POST", url, headers: { ...form, ...headers }, body: joined };
}

type Options = {
  method: string | null;
  headers: Record<string, string>;
  data: string[];
  /** Whether the data goes into the URL. */
  isQuery: boolean;
  urls: string[];
};

function readOptions(words: readonly string[], names: ShellNames): Options {
  const read: Options = { method: null, headers: {}, data: [], isQuery: false, urls: [] };
  const left = words.values();
  for (const word of left) {
    const value = () => left.next().value ?? fail(`${word} has no value`);
    if (word === "-G") read.isQuery = true;
    else if (word.startsWith("-")) readOption(read, word, value(), names);
    else read.urls.push(word);
  }
  return read;
}

function readOption(read: Options, option: string, value: string, names: ShellNames): void {
  switch (option) {
    case "-X":
      read.method = value;
      return;
    case "-H":
      Object.assign(read.headers, Object.fromEntries([headerOf(value)]));
      return;
    case "-d":
      read.data.push(contents(value, names));
      return;
    case "--data-urlencode":
      read.data.push(urlEncoded(value));
      return;
    default:
      fail(`curl ${option} is not known here`);
  }
}

function contents(data: string, names: ShellNames): string {
  return data.startsWith("@") ? named(names, data.slice(1)) : data;
}

/** `name=content`, of which curl encodes the content. */
function urlEncoded(data: string): string {
  const [name, ...content] = data.split("=");
  return `${name}=${encodeURIComponent(content.join("="))}`;
}

const shellPart =
  /(?<space>(?:\s|\\\n)+)|'(?<literal>[^']*)'|"(?<quoted>(?:[^"\\]|\\.)*)"|(?<bare>[^\s'"\\|&;<>(){}*?[\]`#~!]+)/y;

function shellWords(command: string, names: ShellNames): string[] {
  const words: string[] = [];
  let isWordOpen = false;
  shellPart.lastIndex = 0;
  while (shellPart.lastIndex < command.length) {
    const from = shellPart.lastIndex;
    const part = shellPart.exec(command)?.groups ?? fail(`Not understood: ${command.slice(from)}`);
    if (part["space"] !== undefined) isWordOpen = false;
    else {
      const text = part["literal"] ?? expanded(part["quoted"] ?? part["bare"] ?? "", names);
      words.push((isWordOpen ? words.pop() : "") + text);
      isWordOpen = true;
    }
  }
  return words;
}

function expanded(text: string, names: ShellNames): string {
  return text.replaceAll(/\\(["\\$`])|\$(\w+)/g, (_whole, escaped?: string, name = "") =>
    escaped === undefined ? named(names, name) : escaped,
  );
}

function named(names: ShellNames, name: string): string {
  return names[name] ?? fail(`Nothing is called ${name} here`);
}

function fail(message: string): never {
  throw new Error(message);
}
