#!/usr/bin/env node
// The command that npm links and `npx fanmail` runs. A package from the registry or a tarball holds the build alone;
// a clone holds the sources too, and its build may be missing or older than they are.
import { existsSync } from "node:fs";

const root = new URL("../", import.meta.url);

if (existsSync(new URL("src/", root))) {
  const { buildForCommand } = await import("../scripts/build.mjs");
  buildForCommand();
}
try {
  await import("../dist/src/cli/main.js");
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  process.stderr.write(`fanmail: ${error.message.split("\n")[0]}: run npm ci or npm install again\n`);
  process.exitCode = 1;
}
