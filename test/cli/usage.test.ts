import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, runVerbatim } from "../support/command.ts";
import { testDatabase } from "../support/database.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

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

  test.each(["-h", "help"])("%s is help too, of fanmail and of a command", async (word) => {
    const ofCommand = await refused(["keys", "--help"]);
    expect(await refused(word === "help" ? ["help", "keys"] : ["keys", word])).toEqual(ofCommand);
    expect(await refused([word])).toEqual(await refused(["--help"]));
  });

  test("the list of commands fits a terminal of 80 columns", async () => {
    const { stdout } = await refused([]);
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test.each([["--version"], ["-v"], ["keys", "--version"], ["start", "-v"]])(
    "fanmail %s %s is the version of the package",
    async (...args) => {
      const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
      expect(await refused(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    },
  );
});

describe("what is not understood ends with 1", () => {
  test("an unknown command is named, and the known ones are listed", async () => {
    const { code, stdout, stderr } = await refused(["frobnicate"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'fanmail: there is no command "frobnicate"\n\n',
    });
    expect(stdout).toContain("Usage: npx fanmail <command>");
    expect((await refused(["ednpoints"])).stderr).toContain('did you mean "endpoints"?');
  });

  test.each(["start", "migrate", "keys", "replay"])(
    "fanmail %s names an unknown option, and where help is",
    async (command) => {
      const { code, stdout, stderr } = await refused([command, "--frobnicate"]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(new RegExp(`^fanmail ${command}: Unknown option '--frobnicate'`));
      expect(stderr).toContain(`See: npx fanmail ${command} --help`);
    },
  );

  test.each([
    ["projects", "Say what to do: list, create <name>, or set <name>"],
    ["projects create", "Say what to do: list, create <name>, or set <name>"],
    ["keys", "Say what to do: create, list, or revoke <prefix or id>"],
    ["keys revoke", "Say what to do: create, list, or revoke <prefix or id>"],
    ["topics add", "Say what to do: add <topic ARN>, list, or remove <topic ARN>"],
    ["endpoints frobnicate", "Say what to do: add <url>, list, enable <id>, disable <id>, or remove <id>"],
    ["keys list activity:read", "Unknown argument: activity:read"],
    ["keys list --project other", "--project is not for list"],
    ["topics remove x --project other", "--project is not for remove"],
    ["endpoints disable x --events email.open", "--events is not for disable"],
    ["projects create a b", "Unknown argument: b"],
    ["projects list --machine-filter off", "--machine-filter is not for list"],
    ["start now", "Unknown argument: now"],
    ["migrate 0001", "Unknown argument: 0001"],
    ["ses disconnect my-set --configuration-set my-set", "Unknown argument: my-set"],
    [
      "keys create --name my-app",
      "Say what the key may do: --scopes activity:read,events:write, or --scopes '*' for all",
    ],
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
      stderr: `fanmail ${args[0]}: ${message}\nSee: npx fanmail ${args[0]} --help\n`,
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

describe("options that npm kept for itself, without -- before them, are no options that were left out", () => {
  test.each([
    ["keys create", { scopes: "activity:read" }, "--scopes"],
    ["rebuild", { dry_run: "true" }, "--dry-run"],
    ["rotate-encryption-key", { dry_run: "true", json: "true" }, "--dry-run and --json"],
    ["ses disconnect", { configuration_set: "my-set", dry_run: "true" }, "--configuration-set and --dry-run"],
    ["capture", { pseudonymise: "true" }, "--pseudonymise"],
    ["replay x.ndjson", { only: "bounce", limit: "1" }, "--only and --limit"],
    ["endpoints add https://example.com/", { events: "email.bounce" }, "--events"],
  ])("npm run fanmail %s", async (line, kept, named) => {
    const settings = Object.entries(kept).map(([name, value]) => [`npm_config_${name}`, value]);
    const environment = { npm_command: "run", ...Object.fromEntries(settings) };
    const [command = "", ...args] = line.split(" ");
    expect(await refused([command, ...args], environment)).toEqual({
      code: 1,
      stdout: "",
      stderr: `fanmail ${command}: npm has kept ${named} for itself; run the command with npx fanmail instead\nSee: npx fanmail ${command} --help\n`,
    });
  });

  test("what a user's .npmrc sets is none of ours under npx", async () => {
    const { stderr } = await refused(["keys", "list"], { npm_command: "exec", npm_config_json: "true" });
    expect(stderr).not.toContain("npm has kept");
  });
});

describe("a command that needs a database makes none", () => {
  test.each(["keys list", "topics list", "endpoints list", "projects list"])(
    "fanmail %s lists nothing, and says how to begin",
    async (line) => {
      const { code, stdout, stderr } = await refused([...line.split(" "), "--json"]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: "[]\n" });
      expect(stderr).toMatch(
        /^Nothing is here yet: there is no database in .+; begin with npx fanmail start/,
      );
      expect(existsSync(`${directory.path}/never-made`)).toBe(false);
    },
  );

  test.each([
    "keys revoke sk_proj_x",
    "topics remove arn:aws:sns:eu-west-1:123456789012:x",
    "endpoints disable 00000000-0000-0000-0000-000000000000",
    "projects set default --machine-filter on",
    "capture",
    "rebuild --dry-run",
    "rebuild",
    "rotate-encryption-key --dry-run",
    "rotate-encryption-key",
  ])("fanmail %s", async (line) => {
    const args = line.split(" ");
    const { code, stdout, stderr } = await refused(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^fanmail [\w-]+: Nothing is here yet: there is no database in .+; begin with npx fanmail start, or set DATA_DIR/,
    );
    expect(existsSync(`${directory.path}/never-made`)).toBe(false);
  });

  test("nor tables in an empty one; and it says which one it is, without the password", async () => {
    const database = await testDatabase();
    await database.db.query("drop schema public cascade; create schema public");
    const { username, host, pathname } = new URL(database.url);
    const environment = {
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
    };

    const { code, stderr } = await runVerbatim(["keys", "list"], environment);

    const name = `postgres://${username}@${host}${pathname}`;
    expect([code, stderr.split("\n").slice(0, 2)]).toEqual([
      0,
      [
        `Database: ${name}`,
        expect.stringContaining(`Nothing is here yet: the database is empty (${name}); begin with`),
      ],
    ]);
    expect(await database.db.query("select from pg_tables where schemaname = 'public'")).toEqual([]);
    await database.drop();
  });
});

describe("an output that cannot be written", () => {
  const shell = async (line: string) => {
    const environment = { DATA_DIR: `${directory.path}/never-made`, PATH: process.env["PATH"] };
    const child = spawn("bash", ["--norc", "-c", `set -o pipefail; ${line}`], { env: environment });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, "close");
    return [code, stderr];
  };
  const fanmailPath = fileURLToPath(new URL("../../bin/fanmail.js", import.meta.url));

  test.runIf(existsSync("/dev/full"))("is told in one line, and the exit code is 1", async () => {
    const line = "fanmail: Standard output cannot be written: ENOSPC: no space left on device, write\n";
    expect(await shell(`node ${fanmailPath} --help > /dev/full`)).toEqual([1, line]);
    expect(await shell(`node ${fanmailPath} keys --help > /dev/full`)).toEqual([1, line]);
  });

  test("because nobody reads on is no failure", async () => {
    expect(await shell(`node ${fanmailPath} --help | head -1`)).toEqual([0, ""]);
    expect(await shell(`node ${fanmailPath} --help | true`)).toEqual([0, ""]);
    expect(await shell(`node ${fanmailPath} nonsense 2>&1 | true`)).toEqual([1, ""]);
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
