import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freshBuild } from "../support/fresh-build.ts";

freshBuild();
const main = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const heavy = ["@aws-sdk", "@opentelemetry", "bullmq", "express", "ioredis", "selfsigned", "undici"];

const hooks = `
  import { writeSync } from "node:fs";
  export function load(url, context, next) {
    writeSync(2, url + "\\n");
    return next(url, context);
  }`;
const registration = `
  import { register } from "node:module";
  register(${JSON.stringify(dataUrl(hooks))});`;

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script)}`;
}

async function loadedPackages(...args: string[]): Promise<Set<string>> {
  const command = ["--no-warnings", "--import", dataUrl(registration), main, ...args];
  const { stderr } = await promisify(execFile)(process.execPath, command, { maxBuffer: 10_000_000 });
  return new Set([...stderr.matchAll(/\/node_modules\/(@?[^/\s]+)/g)].map(([, name = ""]) => name));
}

test.each([
  "keys",
  "topics",
  "projects",
  "endpoints",
  "migrate",
  "capture",
  "rebuild",
  "rotate-encryption-key",
])("fanmail %s loads no server, queue or AWS client before it needs one", async (command) => {
  const loaded = await loadedPackages(command, "--help");
  expect(loaded).toContain("pg");
  expect(heavy.filter((name) => loaded.has(name))).toEqual([]);
});

test("fanmail --help does not even load the database driver", async () => {
  const loaded = await loadedPackages("--help");
  expect(loaded).toContain("pino");
  expect([...heavy, "pg"].filter((name) => loaded.has(name))).toEqual([]);
});
