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
/** Contains the hash of the sources that `dist/` was made from. While files are replaced it is absent. */
const stamp = join(dist, ".sources");
/** What the compiler remembers of the build that the stamp names, so that the next one compiles only what changed. */
const buildInfo = join(dist, ".tsbuildinfo");

/** What the build is made from; the lock file names the compiler and the API viewer. */
const inputFiles = [
  ...["tsconfig.json", "tsconfig.build.json", "package-lock.json"],
  ...["scripts/build.mjs", "scripts/compile.mjs"],
];
const inputDirectories = ["src", "workers"];

/** What `/docs` serves of Swagger UI. Its package is needed at build time only: it brings an install script. */
const viewerFiles = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "LICENSE", "NOTICE"];

const draftPrefix = ".dist-";
const abandonedAfterMs = 3_600_000;

/** The build failed; the message is one sentence that says what to do. */
export class BuildError extends Error {}

/**
 * Makes the build unless `dist/` was made from the sources as they are. Their content decides, because Git changes the
 * times of files.
 * @param {(duration: string) => void} onBuild called before a build starts.
 * @throws {BuildError}
 */
export function ensureBuilt(onBuild) {
  const built = hashOfBuild();
  const hash = hashOfSources();
  if (built === hash) return;
  requireCompiler();
  const draft = makeDraft();
  let isOutrun = false;
  try {
    onBuild(built === null ? "about 10 seconds" : "about 4 seconds");
    compile(draft, built !== null);
    copyViewer(join(draft, "swagger-ui"));
    // Another process may have been first: do not replace files that it may be loading.
    if (hashOfBuild() === hash) return;
    isOutrun = built !== null && !claim(built, draft);
    if (!isOutrun) publish(draft, hash);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  if (isOutrun) ensureBuilt(() => {});
}

/** Makes the build for a command that is about to run from it; ends the process if that fails. */
export function buildForCommand() {
  const reason = existsSync(stamp) ? "its sources have changed" : "this happens once";
  try {
    ensureBuilt((duration) => process.stderr.write(`Building fanmail (${reason}), ${duration}…\n`));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`fanmail: ${error.message}\n`);
    process.exit(1);
  }
}

/** @returns {string | null} */
function hashOfBuild() {
  return existsSync(stamp) ? readFileSync(stamp, "utf8") : null;
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

function requireCompiler() {
  const missing = "is missing or older than its sources, and there is no compiler";
  packageFile("typescript", "lib/typescript.js", `The build in ${dist} ${missing}: run npm ci in ${root}`);
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

/**
 * In a process of its own, which takes the compiler's memory with it.
 * @param {string} draft @param {boolean} isIncremental
 */
function compile(draft, isIncremental) {
  const script = fileURLToPath(new URL("compile.mjs", import.meta.url));
  const args = [script, draft, buildInfo, isIncremental ? "incremental" : "full"];
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
 * Takes the stamp away, which only one process can do. An incremental build contains just what differs from the build
 * that it started from, so it must not be added to a later one.
 * @param {string} built @param {string} draft @returns {boolean}
 */
function claim(built, draft) {
  return writing(() => {
    const claimed = join(draft, "claimed");
    try {
      renameSync(stamp, claimed);
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
      return false;
    }
    const isSame = readFileSync(claimed, "utf8") === built;
    if (!isSame) renameSync(claimed, stamp);
    return isSame;
  });
}

/**
 * Puts the files in place one by one, each by a rename, so that a process that runs from `dist/` always finds complete
 * ones. The stamp comes last: after an interruption everything is built again.
 * @param {string} draft @param {string} hash
 */
function publish(draft, hash) {
  writing(() => {
    rmSync(stamp, { force: true });
    rmSync(join(draft, "claimed"), { force: true });
    for (const path of filesBelow(draft)) {
      const target = join(dist, path.slice(draft.length + 1));
      mkdirSync(dirname(target), { recursive: true });
      renameSync(path, target);
    }
    removeLeftovers();
    writeFileSync(join(draft, "stamp"), hash);
    renameSync(join(draft, "stamp"), stamp);
  });
}

/** Deletes what deleted sources have left behind. The benchmarks have a build of their own. */
function removeLeftovers() {
  for (const directory of inputDirectories) {
    for (const path of filesBelow(join(dist, directory))) {
      const source = join(root, path.slice(dist.length).replace(/\.js(\.map)?$/, ".ts"));
      if (!existsSync(source)) rmSync(path, { force: true });
    }
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
