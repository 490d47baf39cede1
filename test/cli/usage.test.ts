import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dataDirectory, run } from "../support/fanmail-process.ts";

let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  directory = await dataDirectory();
});
afterAll(() => directory?.remove());

const commands = [
  "start",
  "receiver",
  "worker",
  "migrate",
  "demo",
  "trigger",
  "listen",
  "replay",
  "capture",
  "rebuild",
  "projects",
  "keys",
  "topics",
  "ses",
  "endpoints",
  "doctor",
  "rotate-encryption-key",
];

/** A command that must end before it opens anything. */
const refused = (args: string[], environment: Record<string, string> = {}) =>
  run(args, { DATA_DIR: `${directory.path}/never-made`, ...environment });

describe("help", () => {
  test.each(commands)("fanmail %s --help says what it does", async (command) => {
    const { code, stdout, stderr } = await refused([command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^fanmail ${command}: \\S.+\n\n\\S`));
  });

  test.each([[], ["--help"], ["help"]])("fanmail %s lists every command", async (...args) => {
    const { code, stdout, stderr } = await refused(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const listed = [...stdout.matchAll(/^ {2}([\w-]+) +\S/gm)].map(([, name]) => name);
    expect(listed).toEqual(commands);
  });

  test("--help goes before what else is wrong", async () => {
    const { code } = await refused(["keys", "nonsense", "--help", "--nonsense"], { PORT: "x" });
    expect(code).toBe(0);
  });

  test("--version is the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await refused(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe("what is not understood ends with 1", () => {
  test("an unknown command is named, and the known ones are listed", async () => {
    const { code, stdout, stderr } = await refused(["frobnicate"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'fanmail: there is no command "frobnicate"\n\n',
    });
    expect(stdout).toContain("Usage: fanmail <command>");
  });

  test.each(["start", "migrate", "keys", "replay"])(
    "fanmail %s names an unknown option, and where help is",
    async (command) => {
      const { code, stdout, stderr } = await refused([command, "--frobnicate"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(new RegExp(`^fanmail ${command}: Unknown option '--frobnicate'`));
      expect(stderr).toContain(`See: fanmail ${command} --help`);
    },
  );

  test.each([
    ["projects", "Say what to do: list, create <name>, or set <name>"],
    ["projects create", "Say what to do: list, create <name>, or set <name>"],
    ["keys", "Say what to do: create, list, or revoke <prefix or id>"],
    ["keys revoke", "Say what to do: create, list, or revoke <prefix or id>"],
    ["topics add", "Say what to do: add <topic ARN>, list, or remove <topic ARN>"],
    ["endpoints frobnicate", "Say what to do: add <url>, list, enable <id>, disable <id>, or remove <id>"],
    ["replay", "Name one file or directory, or - for standard input"],
    ["replay a b", "Name one file or directory, or - for standard input"],
    ["replay a --rate 0", "--rate takes a number above 0"],
    ["replay a --rate fast", "--rate takes a number above 0"],
    ["replay a --give-up-after=-1", "--give-up-after takes a number above 0"],
    ["replay a --topic x", '--topic: "x" is not the ARN of an SNS topic'],
    ["replay a --to x", '--to: "x" is not a URL such as http://127.0.0.1:3000/ingest/sns'],
    ["replay a --to ftp://x/", '--to: "ftp://x/" is not a URL such as http://127.0.0.1:3000/ingest/sns'],
  ])("fanmail %s", async (line, message) => {
    const args = line.split(" ");
    expect(await refused(args)).toEqual({
      code: 1,
      stdout: "",
      stderr: `fanmail ${args[0]}: ${message}\nSee: fanmail ${args[0]} --help\n`,
    });
  });

  test.each([
    ["keys create --scopes activity:read,everything", "Unknown scopes: everything."],
    [
      "endpoints add https://example.com/ --events email.open,email.nonsense",
      "Unknown events: email.nonsense.",
    ],
    ["endpoints add example.com/hook", "The URL must be an https URL such as https://example.com/webhooks"],
    ["endpoints add ftp://example.com/", "The URL must be an https URL such as"],
    ["endpoints add https://me:secret@example.com/", "The URL must not hold a user name or password"],
    [
      "topics add arn:aws:s3:us-east-1:123456789012:x",
      '"arn:aws:s3:us-east-1:123456789012:x" is not the ARN',
    ],
  ])("fanmail %s", async (line, message) => {
    const { code, stdout, stderr } = await refused(line.split(" "));
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });
});

describe("a wrong configuration ends with 1", () => {
  test.each([["start"], ["demo"], ["keys", "list"]])(
    "fanmail %s names every wrong variable",
    async (...args) => {
      const { code, stdout, stderr } = await refused(args, {
        PORT: "65536",
        LOG_LEVEL: "loud",
        ENCRYPTION_KEY: "short",
        OPEN_WINDOW_SECONDS: "-1",
        WEBHOOK_ALLOWED_CIDRS: "127.0.0.1",
      });
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr.split("\n")).toEqual([
        `fanmail ${args[0]}: The configuration is wrong:`,
        "  PORT must be a whole number from 0 to 65535",
        "  ENCRYPTION_KEY must be 32 bytes in base64; make one with: openssl rand -base64 32",
        "  WEBHOOK_ALLOWED_CIDRS holds something that is not a network such as 10.0.0.0/8",
        "  OPEN_WINDOW_SECONDS must be a whole number from 0 to 31536000",
        "  LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent",
        "",
      ]);
    },
  );

  test("a database that cannot be reached is told with its cause, and not with its password", async () => {
    const { code, stdout, stderr } = await refused(["start"], {
      DATABASE_URL: "postgres://me:secret@127.0.0.1:1/nothing",
      ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("ECONNREFUSED");
    expect(stderr).not.toContain("secret");
  });
});
