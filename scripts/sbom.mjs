import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/*
 * `npm run --silent sbom [-- --sbom-format=spdx]` writes a bill of materials of the service to standard output, from package.json
 * and the lock file alone. `npm sbom --omit=dev` leaves out packages that development depends on as well, such as zod. So npm
 * gets both files without development, in a directory with the package's name, which npm takes for its name.
 */

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));

function withoutDevelopment({ devDependencies: _, ...manifest }) {
  return manifest;
}

function ofService({ packages, ...lock }) {
  const needed = Object.entries(packages).filter(([, { dev }]) => !dev);
  return {
    ...lock,
    packages: Object.fromEntries(needed.map(([path, entry]) => [path, withoutDevelopment(entry)])),
  };
}

const manifest = withoutDevelopment(read("package.json"));
const parent = mkdtempSync(join(tmpdir(), "fanmail-sbom-"));
try {
  const directory = join(parent, manifest.name);
  mkdirSync(directory);
  writeFileSync(join(directory, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(directory, "package-lock.json"), JSON.stringify(ofService(read("package-lock.json"))));
  const format = process.argv[2] ?? "--sbom-format=cyclonedx";
  // Set by `npm run`: on Windows npm is no program that could be started by its name.
  const npm = process.env.npm_execpath ?? "";
  const args = [npm, "sbom", "--package-lock-only", "--sbom-type=application", format];
  const { status } = spawnSync(process.execPath, args, { cwd: directory, stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(parent, { recursive: true, force: true });
}
