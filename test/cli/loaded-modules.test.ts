import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";
import { fanmail, terminate } from "../support/fanmail-process.ts";
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
/** Hooks see what is imported; what that requires is listed at the end. */
const registration = `
  import { writeSync } from "node:fs";
  import { createRequire, register } from "node:module";
  register(${JSON.stringify(dataUrl(hooks))});
  const { cache } = createRequire("/");
  process.on("exit", () => writeSync(2, Object.keys(cache).join("\\n")));`;

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script)}`;
}

async function loadedPackages(...args: string[]): Promise<Set<string>> {
  const command = ["--no-warnings", "--import", dataUrl(registration), main, ...args];
  const { stderr } = await promisify(execFile)(process.execPath, command, { maxBuffer: 10_000_000 });
  return packagesIn(stderr);
}

function packagesIn(listed: string): Set<string> {
  return new Set([...listed.matchAll(/\/node_modules\/(@?[^/\s]+)/g)].map(([, name = ""]) => name));
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

/** Runs a service until it says that it works, then stops it. */
async function loadedByService(role: string, environment: Record<string, string> = {}) {
  const database = await testDatabase();
  try {
    const service = fanmail([role], {
      NODE_OPTIONS: `--no-warnings --import=${dataUrl(registration)}`,
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      PORT: "0",
      ...environment,
    });
    await service.line(/fanmail (listens|works)/);
    const { code, stderr } = await terminate(service);
    expect(code).toBe(0);
    const own = [...stderr.matchAll(/\/dist\/(\S+)\.js$/gm)].map(([, name = ""]) => name);
    return { packages: packagesIn(stderr), own };
  } finally {
    await database.drop();
  }
}

/** Needed only for a certificate of AWS, an SQS queue, a collector of traces, a list as CSV or a data directory. */
const onDemand = ["@aws-sdk", "@smithy", "csv-stringify", "selfsigned", "undici", "yaml"];
const sdkOfTraces = /^@opentelemetry$|^bullmq-otel$/;

test("fanmail worker loads no server, metrics or AWS client before it needs one", async () => {
  const { packages } = await loadedByService("worker");
  expect(packages).toContain("bullmq");
  const unneeded = [...onDemand, "express", "ioredis", "prom-client"];
  expect([...packages].filter((name) => unneeded.includes(name) || sdkOfTraces.test(name))).toEqual([]);
});

test("fanmail receiver loads no AWS client and does not describe its API before it needs to", async () => {
  const { packages, own } = await loadedByService("receiver");
  expect(packages).toContain("express");
  expect([...packages].filter((name) => [...onDemand, "bullmq-otel", "ioredis"].includes(name))).toEqual([]);
  expect(own).toContain("src/http/app");
  expect(own).not.toContain("src/http/openapi");
});

test("fanmail worker that serves metrics does not load the API for that", async () => {
  const { packages, own } = await loadedByService("worker", { METRICS_PORT: "0" });
  expect([...packages]).toEqual(expect.arrayContaining(["express", "prom-client"]));
  expect(own).toContain("src/http/health-server");
  expect(own.filter((name) => /^src\/(receive\/intake|http\/(app|route|dialects\/.+))$/.test(name))).toEqual(
    [],
  );
});
