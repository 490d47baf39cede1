import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../support/command.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

/*
 * What `fanmail ses` does without AWS.
 */

const queue = ["connect", "--configuration-set", "my-set", "--queue", "ses-events"];

let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  directory = await dataDirectory();
});
afterAll(() => directory.remove());

test("a dry run needs no credentials and no network, and says what it assumes", async () => {
  const alone = {
    HOME: directory.path,
    AWS_EC2_METADATA_DISABLED: "true",
    DATA_DIR: `${directory.path}/never`,
  };
  const args = ["ses", ...queue, "--dry-run", "--region", "eu-central-1"];
  const { code, stdout, stderr } = await run(args, alone);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(
    "There are no AWS credentials: this assumes that nothing is there, in account 123456789012.",
  );
  expect(stdout).toContain('"Resource": "arn:aws:sns:eu-central-1:123456789012:ses-events"');
  expect(stdout).toContain("sqs:CreateQueue");
});

test.each([
  ["", "Say what to do: connect or disconnect"],
  ["connect", "Name the configuration set that you send with: --configuration-set my-set"],
  ["connect --configuration-set a/b", "--configuration-set takes up to 64 letters, digits, - and _"],
  ["connect --configuration-set a", "Say how events come: --https"],
  ["connect --configuration-set a --https http://x.example.com/", "--https takes an https URL"],
  ["connect --configuration-set a --https https://me:x@x.example.com/", "--https takes an https URL"],
  [
    "connect --configuration-set a --https https://x.example.com/ --queue q",
    "Give one of --https and --queue",
  ],
  ["connect --configuration-set a --queue q.fifo", "--queue takes the name of a standard queue"],
  ["connect --configuration-set a --queue q --topic t.fifo", "--topic takes the name of a standard topic"],
  [
    "connect --configuration-set a --queue q --print pulumi",
    '--print takes terraform or cloudformation, not "pulumi"',
  ],
  ["connect --configuration-set a --queue q --wait long", "--wait takes whole seconds"],
  [
    "connect --configuration-set a --queue q --region Frankfurt",
    '--region takes a region such as eu-west-1, not "Frankfurt"',
  ],
  ["connect --configuration-set a --queue q --regions eu-west-1,", "--regions takes regions such as"],
  ["connect --configuration-set a --queue q --regions a,b --region eu-west-1", "Give one of --region and"],
  [
    "connect --configuration-set a --queue q --regions eu-west-1,us-east-1 --print terraform",
    "--print makes the template of one region",
  ],
  ["disconnect --configuration-set a --wait 1", "Unknown option '--wait'"],
])("fanmail ses %s: the error names what is wrong", async (line, message) => {
  const { code, stdout, stderr } = await run(["ses", ...line.split(" ").filter(Boolean)], {
    DATA_DIR: `${directory.path}/never`,
  });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`fanmail ses: ${message}`);
});
