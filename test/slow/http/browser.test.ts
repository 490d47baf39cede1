import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { startTestService, type TestService } from "../../support/service.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, roles: { receiver: true, workers: false } });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const hasChromium =
  process.env["CI"] === "true" || spawnSync("chromium", ["--version"], { timeout: 30_000 }).status === 0;

test.skipIf(!hasChromium)("/docs shows every operation in a browser that reaches nothing else", async () => {
  const profile = await mkdtemp(join(tmpdir(), "fanmail-browser-"));
  try {
    const html = await renderedBy(`${service.url}/docs`, profile);
    const shown = [...html.matchAll(/data-path="([^"]+)"/g)].map(([, path]) => path);
    const documented = Object.entries(service.contract.document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map(() => path),
    );
    expect(shown.sort()).toEqual(documented.sort());
    expect(html).toContain("Emails to recipients, the newest first");
    expect(html).not.toMatch(/validator\.swagger\.io|Failed to load/);
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
});

/** A page's HTML after its scripts have run. */
async function renderedBy(url: string, profile: string): Promise<string> {
  const args = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    `--user-data-dir=${profile}`,
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=20000",
    "--dump-dom",
    url,
  ];
  const browser = spawn("chromium", args, { stdio: ["ignore", "pipe", "ignore"] });
  let html = "";
  browser.stdout.on("data", (chunk) => {
    html += chunk;
  });
  await once(browser, "close");
  return html;
}
