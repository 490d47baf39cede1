import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../support/command.ts";
import { dataDirectory, fanmail } from "../../support/fanmail-process.ts";

let directory: { path: string; remove(): Promise<void> };
beforeEach(async () => {
  directory = await dataDirectory();
});
afterEach(() => directory.remove());

test("Ctrl-C ends it in order: in the middle, and with 0 when it serves after the end", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const environment = { DATA_DIR: directory.path, PORT: String(port), LOG_LEVEL: "info" };
  const cutOff = fanmail(["demo"], environment);
  await cutOff.line(/Starting PostgreSQL/);
  cutOff.child.kill("SIGINT");
  const ended = await cutOff.ended;
  expect([ended.code, ended.stderr]).toEqual([1, "fanmail demo: stopped before the end\n"]);

  const serving = fanmail(["demo"], environment);
  const [, docs = "", key = ""] = await serving.line(/ {2}(\S+\/docs)\nwith the key\n {2}(sk_proj_\S+)\n/);
  await serving.line(/Serving until Ctrl-C/);

  // What it prints holds: the link, the key, the directory that commands find the same database in.
  expect((await fetch(docs)).status).toBe(200);
  const activity = new URL("/v1/activity", docs);
  expect((await fetch(activity, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
  const [, dataDir = ""] = await serving.line(/export DATA_DIR=(\S+)\n/);
  const keys = await run(["keys", "list"], { DATA_DIR: dataDir });
  expect(keys.stdout).toContain(key.slice(0, 14));
  const second = await run(["demo"], environment);
  expect(second).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/in use by process \d+: .*DATA_DIR/),
  });

  serving.child.kill("SIGINT");
  const { code, stdout, stderr } = await serving.ended;
  // The log would say that it adopted a server that the first run had left.
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`Port ${port} is taken by another program`);
  taken.close();
});
