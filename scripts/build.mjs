/** Compiles the sources into `dist/`, in a clone. Plain JavaScript, because it runs before anything is compiled. */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const dist = join(root, "dist");
/** Holds the hash of the sources that `dist/` was made from. */
const stamp = join(dist, ".sources");

/** What the build is made from; the lock file names the compiler and the API viewer. */
const inputFiles = ["tsconfig.json", "tsconfig.build.json", "package-lock.json", "scripts/build.mjs"];
const inputDirectories = ["src", "workers"];

/** What `/docs` serves of Swagger UI. Its package is needed at build time only: it brings an install script. */
const viewerFiles = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE", "NOTICE"];

const draftPrefix = ".dist-";
const abandonedAfterMs = 3_600_000;

/** The build cannot be made; the message is one sentence that says what to do. */
export class BuildError extends Error {}

/** True when `dist/` was made from the sources as they are. Their content decides: Git sets the times of files anew. */
export function isFresh() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === hashOfSources();
}

/**
 * Makes the build unless it is fresh.
 * @param {() => void} onBuild called before it takes its time.
 * @throws {BuildError}
 */
export function ensureBuilt(onBuild) {
  if (isFresh()) return;
  const compiler = compilerPath();
  const hash = hashOfSources();
  const draft = makeDraft();
  try {
    onBuild();
    compile(compiler, draft);
    copyViewer(join(draft, "swagger-ui"));
    // Another process may have been first; files that nobody replaces cannot fail under its feet.
    if (!isFresh()) publish(draft, hash);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Makes the build for a command that is about to run from it; ends the process where that cannot be. */
export function buildForCommand() {
  const reason = existsSync(stamp) ? "its sources have changed" : "this happens once";
  try {
    ensureBuilt(() => process.stderr.write(`Building fanmail (${reason}), about 10 seconds…\n`));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`fanmail: ${error.message}\n`);
    process.exit(1);
  }
}

function hashOfSources() {
  const hash = createHash("sha256");
  const sources = inputDirectories.flatMap((directory) => filesBelow(join(root, directory)));
  for (const file of [...inputFiles.map((name) => join(root, name)), ...sources.sort()]) {
    const content = readFileSync(file);
    hash.update(`${file.slice(root.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** @returns {string[]} */
function filesBelow(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

function compilerPath() {
  const missing = "is missing or older than its sources, and there is no compiler";
  return packageFile("typescript", "bin/tsc", `The build in ${dist} ${missing}: run npm ci in ${root}`);
}

/** @param {string} name @param {string} file @param {string} problem */
function packageFile(name, file, problem) {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file);
  } catch (cause) {
    throw new BuildError(problem, { cause });
  }
}

/** Beside `dist/`, so that renaming is possible and source maps point to the sources. */
function makeDraft() {
  return writing(() => {
    for (const name of readdirSync(root).filter((one) => one.startsWith(draftPrefix))) {
      const path = join(root, name);
      const madeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - madeMs > abandonedAfterMs) rmSync(path, { recursive: true, force: true });
    }
    return mkdtempSync(join(root, draftPrefix));
  });
}

/** @param {string} compiler @param {string} draft */
function compile(compiler, draft) {
  const args = [compiler, "-p", "tsconfig.build.json", "--outDir", draft, "--noEmitOnError"];
  // Standard output belongs to the command that waits for the build.
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new BuildError("The sources do not compile: correct what the compiler names above");
}

/** @param {string} target */
function copyViewer(target) {
  const problem = `swagger-ui-dist is not installed: run npm ci in ${root}`;
  mkdirSync(target);
  for (const file of viewerFiles)
    copyFileSync(packageFile("swagger-ui-dist", file, problem), join(target, file));
}

/**
 * Puts the files in place one by one, each whole, so that a process that runs from `dist/` always finds them. The stamp
 * comes last: a build that was interrupted is made again.
 * @param {string} draft @param {string} hash
 */
function publish(draft, hash) {
  writing(() => {
    rmSync(stamp, { force: true });
    const made = filesBelow(draft).map((path) => path.slice(draft.length + 1));
    for (const name of made) {
      mkdirSync(dirname(join(dist, name)), { recursive: true });
      renameSync(join(draft, name), join(dist, name));
    }
    removeOthers(new Set(made));
    writeFileSync(join(draft, "stamp"), hash);
    renameSync(join(draft, "stamp"), stamp);
  });
}

/** What a deleted source has left behind; the benchmarks have a build of their own. @param {Set<string>} made */
function removeOthers(made) {
  for (const directory of [...inputDirectories, "swagger-ui"]) {
    for (const path of filesBelow(join(dist, directory)))
      if (!made.has(path.slice(dist.length + 1))) rmSync(path, { force: true });
  }
}

/** @template Result @param {() => Result} work @returns {Result} */
function writing(work) {
  try {
    return work();
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(error.code)) throw error;
    const problem = "is missing or older than its sources, and this user cannot write there";
    throw new BuildError(`The build in ${dist} ${problem}: run npm ci as the owner of ${root}`, {
      cause: error,
    });
  }
}
