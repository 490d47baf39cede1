import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, runVerbatim } from "../support/command.ts";
import { dataDirectory, type FanmailProcess, fanmail, terminate } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";

let directory: { path: string; remove(): Promise<void> };
let service: FanmailProcess;
let url: string;

const environment = () => ({ DATA_DIR: directory.path, PORT: "0" });
const cli = (...args: string[]) => run(args, environment());

beforeAll(async () => {
  directory = await dataDirectory();
  service = fanmail(["start"], { ...environment(), LOG_LEVEL: "warn" });
  const [, address] = await service.line(/^fanmail listens on (http:\/\/127\.0\.0\.1:\d+)$/m);
  url = address ?? "";
});
afterAll(async () => {
  const { code, stderr } = await terminate(service);
  await directory?.remove();
  expect(code, stderr).toBe(0);
});

/** Runs a command that must succeed. */
async function answerOf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  expect(code, stderr).toBe(0);
  return stdout;
}

const jsonOf = async (...args: string[]) => JSON.parse(await answerOf(...args, "--json"));

/** Runs a command that must fail, saying nothing on standard output. */
async function complaintOf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  return stderr;
}

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const isoTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test.each(["keys list", "projects list --json", "migrate", "rebuild --dry-run", "capture", "doctor"])(
  "fanmail %s says on standard error which database it uses",
  async (line) => {
    const { stderr } = await runVerbatim(line.split(" "), environment());
    expect(stderr.split("\n")[0]).toBe(`Database: embedded, in ${directory.path}`);
  },
);

describe("projects", () => {
  test("are created and listed", async () => {
    expect(await answerOf("projects", "create", "Acme Mail")).toMatch(
      /^Created the project "Acme Mail" \([0-9a-f-]{36}\)\.\n$/,
    );
    const made = await jsonOf("projects", "create", "Second");
    expect(made).toEqual({ id: uuid, name: "Second" });

    const listed = await jsonOf("projects", "list");
    expect(listed.map(({ name }: { name: string }) => name)).toEqual(["default", "Acme Mail", "Second"]);
    expect(listed[2]).toEqual({
      ...made,
      open_window_seconds: null,
      machine_filter: true,
      created_at: isoTime,
    });
    expect(await answerOf("projects", "list")).toMatch(
      /^NAME +ID\ndefault +0{8}-.+\nAcme Mail +.+\nSecond +.+\n$/,
    );
  });

  test("are given rules of their own", async () => {
    expect(
      await answerOf("projects", "set", "Second", "--open-window-seconds", "60", "--machine-filter", "off"),
    ).toBe("Set. For existing emails: npx fanmail rebuild --project Second\n");
    const [, , second] = await jsonOf("projects", "list");
    expect(second).toMatchObject({ open_window_seconds: 60, machine_filter: false });

    await answerOf("projects", "set", "Second", "--machine-filter", "on");
    const [, , again] = await jsonOf("projects", "list");
    expect(again).toMatchObject({ open_window_seconds: 60, machine_filter: true });

    expect(await complaintOf("projects", "set", "Second")).toContain("Say what to set");
    expect(await complaintOf("projects", "set", "Second", "--machine-filter", "yes")).toContain(
      "must be on or off",
    );
    expect(await complaintOf("projects", "set", "Second", "--open-window-seconds", "1.5")).toContain(
      "whole number",
    );
    expect(await complaintOf("projects", "set", "nobody", "--machine-filter", "on")).toContain(
      'no project "nobody"',
    );
  });

  test("have names of their own", async () => {
    expect(await complaintOf("projects", "create", "default")).toContain(
      'There is a project "default" already',
    );
  });
});

describe("keys", () => {
  const asks = async (key: string) => {
    const answer = await fetch(`${url}/v1/activity`, { headers: { authorization: `Bearer ${key}` } });
    return answer.status;
  };

  test("a key works against the running service, and is refused soon after it is revoked", async () => {
    const { code, stdout, stderr } = await cli("keys", "create", "--scopes", "*");
    const told = 'The key "unnamed" of the project "default" may do everything.\n';
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `${told}Keep it now: it is not shown again.\n`,
    });
    expect(stdout).toMatch(/^sk_proj_[A-Za-z0-9_-]{43}\n$/);
    const key = stdout.trim();
    expect(await asks(key)).toBe(200);

    expect(await answerOf("keys", "revoke", `${key.slice(0, 14)}…`)).toBe("Revoked.\n");

    await until("the key is refused", async () => (await asks(key)) === 401);
    expect(await complaintOf("keys", "revoke", key.slice(0, 14))).toContain(
      `There is no valid key "${key.slice(0, 14)}"`,
    );
  });

  test("are listed without what would open anything", async () => {
    const made = await jsonOf("keys", "create", "--name", "reader", "--scopes", "activity:read, events:read");
    expect(made).toEqual({
      key: expect.stringMatching(/^sk_proj_/),
      name: "reader",
      project: "default",
      scopes: ["activity:read", "events:read"],
    });

    const [key] = (await jsonOf("keys", "list")).filter(({ name }: { name: string }) => name === "reader");
    expect(key).toEqual({
      project_id: "00000000-0000-8000-8000-000000000001",
      id: uuid,
      name: "reader",
      prefix: made.key.slice(0, 14),
      scopes: ["activity:read", "events:read"],
      created_at: isoTime,
      revoked_at: null,
    });
    const text = await answerOf("keys", "list");
    expect(text).toContain(`${made.key.slice(0, 14)}…  reader   activity:read,events:read`);
    expect(text).not.toContain(made.key.slice(0, 15));

    expect(await answerOf("keys", "revoke", key.id.toUpperCase())).toBe("Revoked.\n");
    expect(await answerOf("keys", "list")).toMatch(/reader .+ revoked \d{4}-/);
  });

  test("have the scopes they were given, and no others", async () => {
    const { key } = await jsonOf("keys", "create", "--scopes", "events:read");
    expect(await asks(key)).toBe(403);
  });

  test("are not made for a project that is not there", async () => {
    const before = await answerOf("keys", "list");
    expect(await complaintOf("keys", "create", "--project", "Nobody", "--scopes", "*")).toBe(
      'fanmail keys: There is no project "Nobody"; list them with: npx fanmail projects list\nSee: npx fanmail keys --help\n',
    );
    expect(await answerOf("keys", "list")).toBe(before);
  });
});

describe("topics", () => {
  const arn = "arn:aws:sns:eu-west-1:123456789012:cli-events";

  test("are added, listed and removed", async () => {
    expect(await answerOf("topics", "add", arn)).toBe(`Allowed ${arn}.\n`);
    expect(await answerOf("topics", "add", arn)).toBe(`Allowed ${arn}.\n`);
    expect(await jsonOf("topics", "list")).toEqual([
      {
        project_id: "00000000-0000-8000-8000-000000000001",
        id: uuid,
        arn,
        subscription_state: "unknown",
        subscription_error: null,
        last_notification_at: null,
        silent: false,
      },
    ]);
    expect(await answerOf("topics", "list")).toBe(
      `TOPIC${" ".repeat(arn.length - 3)}SUBSCRIPTION  LAST NOTIFICATION\n${arn}  unknown       never\n`,
    );

    const queue = "arn:aws:sqs:eu-west-1:123456789012:ses-events";
    expect(await answerOf("topics", "add", queue)).toBe(`Allowed ${queue}.\n`);
    expect(await answerOf("topics", "remove", queue)).toContain(`Removed ${queue}.`);
    expect(await answerOf("topics", "remove", arn)).toBe(`Removed ${arn}. Its notifications are kept.\n`);
    expect(await jsonOf("topics", "list")).toEqual([]);
    expect(await complaintOf("topics", "remove", arn)).toContain(`"${arn}" is not allow-listed`);
  });

  test("belong to one project: adding one to another is refused", async () => {
    await answerOf("projects", "create", "Topic owner");
    await answerOf("topics", "add", arn, "--project", "Topic owner");

    expect(await complaintOf("topics", "add", arn)).toContain(`${arn} belongs to another project`);
    expect(await complaintOf("topics", "add", arn, "--project", "Nobody")).toContain(
      'There is no project "Nobody"',
    );

    await answerOf("topics", "remove", arn);
  });
});

describe("endpoints", () => {
  test("are added with a secret that is shown once, listed and removed", async () => {
    const made = await jsonOf(
      ...["endpoints", "add", "https://8.8.8.8/hook", "--events", "email.open,email.click"],
      ...["--description", "For the shop"],
    );
    expect(made).toEqual({
      id: uuid,
      url: "https://8.8.8.8/hook",
      event_types: ["email.open", "email.click"],
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });

    expect(await jsonOf("endpoints", "list")).toEqual([
      {
        project_id: "00000000-0000-8000-8000-000000000001",
        id: made.id,
        url: "https://8.8.8.8/hook",
        event_types: ["email.open", "email.click"],
        description: "For the shop",
        header_names: [],
        max_in_flight: 10,
        rate_per_second: null,
        ordered: false,
        legacy_signature: false,
        state: "enabled",
        disabled_reason: null,
        disabled_at: null,
        created_at: isoTime,
        updated_at: isoTime,
      },
    ]);
    expect(await answerOf("endpoints", "list")).toContain(
      `${made.id}  enabled  https://8.8.8.8/hook  email.open,email.click\n`,
    );

    expect(await answerOf("endpoints", "disable", made.id)).toBe("Disabled. Its webhooks are held for it.\n");
    expect(await answerOf("endpoints", "list")).toContain(
      `${made.id}  disabled (manual)  https://8.8.8.8/hook`,
    );
    expect(await answerOf("endpoints", "enable", made.id)).toMatch(/^Enabled\./);
    expect(await answerOf("endpoints", "list")).toContain(`${made.id}  enabled  https://8.8.8.8/hook`);

    expect(await answerOf("endpoints", "remove", made.id.toUpperCase())).toBe(
      "Removed. Its pending webhooks are cancelled.\n",
    );
    expect(await complaintOf("endpoints", "remove", made.id)).toContain(`There is no endpoint "${made.id}"`);
    expect(await complaintOf("endpoints", "remove", "x")).toContain('There is no endpoint "x"');
  });

  test("get every event where none is named, and warn to keep the secret", async () => {
    const { code, stdout, stderr } = await cli("endpoints", "add", "https://8.8.8.8/");
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `Keep the secret now: it is not shown again.\n`,
    });
    const [, id] = /^Endpoint ([0-9a-f-]{36})\nEvents {3}\*\nSecret {3}whsec_\S+\n$/.exec(stdout) ?? [];
    const [endpoint] = await jsonOf("endpoints", "list");
    expect(endpoint).toMatchObject({ id, event_types: ["*"], description: null });
  });

  test("are not added where nothing may be sent to", async () => {
    expect(await complaintOf("endpoints", "add", "https://10.0.0.5/hook")).toContain(
      "The URL is at 10.0.0.5, which is not a public address",
    );
  });

  test("are not added to a project that is not there", async () => {
    expect(await complaintOf("endpoints", "add", "https://8.8.8.8/", "--project", "Nobody")).toContain(
      'There is no project "Nobody"',
    );
  });
});

test("a second service on the same data is refused, and the first goes on", async () => {
  const { code, stdout, stderr } = await cli("start");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(directory.path);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});
