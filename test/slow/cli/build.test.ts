import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freshBuild } from "../../support/fresh-build.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const isRoot = process.getuid?.() === 0;

let built: string;
let clone: string;

/** Compiles in half the time of what the service needs. */
const compilerOptions = { types: [], lib: ["es5"] };

/** A clone as npm leaves it, with a small program that is built. */
beforeAll(async () => {
  built = clone = await mkdtemp(join(tmpdir(), "fanmail-built-"));
  for (const name of ["bin", "scripts", "package.json", "package-lock.json", "tsconfig.json"])
    await cp(join(root, name), join(clone, name), { recursive: true });
  const config = { extends: "./tsconfig.json", compilerOptions, include: ["src", "workers"] };
  await writeFile(join(clone, "tsconfig.build.json"), JSON.stringify(config));
  await symlink(join(root, "node_modules"), join(clone, "node_modules"));
  await Promise.all([mkdir(join(clone, "src/cli"), { recursive: true }), mkdir(join(clone, "workers"))]);
  await writeFile(join(clone, "workers/work.ts"), "export const work = 1;\n");
  await program("one");
  await fanmail();
});
beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "fanmail-clone-"));
  await chmod(clone, 0o755);
  await cp(built, clone, { recursive: true });
});
afterEach(() => rm(clone, { recursive: true, force: true }));
afterAll(() => rm(built, { recursive: true, force: true }));

/** As it is without install scripts. */
const removeBuild = () => rm(join(clone, "dist"), { recursive: true });

const program = (answer = "one") =>
  writeFile(
    join(clone, "src/cli/main.ts"),
    `declare const process: any;\n\nprocess.stdout.write("${answer}\\n");\n`,
  );

type Ended = { code: number | null; stdout: string; stderr: string };

async function node(script: string, environment: Record<string, string> = {}, uid?: number): Promise<Ended> {
  const env = { PATH: process.env["PATH"] ?? "", ...environment };
  const child = spawn(process.execPath, [join(clone, script)], { env, cwd: "/", ...(uid && { uid }) });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output.stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, ...output };
}

const fanmail = () => node("bin/fanmail.js");
const building = expect.stringMatching(/^Building fanmail \(this happens once\), about 10 seconds…\n$/);
const rebuilding = expect.stringMatching(
  /^Building fanmail \(its sources have changed\), about 4 seconds…\n$/,
);

describe("fanmail in a clone", () => {
  test("builds at the first command, says so on standard error, and does not build again", async () => {
    await removeBuild();
    expect(await fanmail()).toEqual({ code: 0, stdout: "one\n", stderr: building });
    expect(await fanmail()).toEqual({ code: 0, stdout: "one\n", stderr: "" });
  });

  test("builds again when the sources have changed, not when only their times have", async () => {
    await utimes(join(clone, "src/cli/main.ts"), new Date(), new Date());
    expect((await fanmail()).stderr).toBe("");

    await program("two");
    // As old as it was, as a tool that keeps times would leave it.
    await utimes(join(clone, "src/cli/main.ts"), new Date(0), new Date(0));
    expect(await fanmail()).toEqual({ code: 0, stdout: "two\n", stderr: rebuilding });

    await rm(join(clone, "workers/work.ts"));
    expect((await fanmail()).stderr).toEqual(rebuilding);
    for (const name of ["work.js", "work.js.map"])
      await expect(readFile(join(clone, "dist/workers", name))).rejects.toThrow("ENOENT");
  });

  test("replaces only the files whose sources have changed, until the build info is gone", async () => {
    const inodes = () =>
      Promise.all(["src/cli/main.js", "workers/work.js"].map((name) => stat(join(clone, "dist", name)))).then(
        (files) => files.map(({ ino, mtimeMs }) => `${ino} ${mtimeMs}`),
      );
    const [main, work] = await inodes();

    await program("two");
    expect(await fanmail()).toMatchObject({ stdout: "two\n", stderr: rebuilding });
    const [mainAfter, workAfter] = await inodes();
    expect(workAfter).toBe(work);
    expect(mainAfter).not.toBe(main);

    await rm(join(clone, "dist/.tsbuildinfo"));
    await program("three");
    expect(await fanmail()).toMatchObject({ stdout: "three\n", stderr: rebuilding });
    expect((await inodes())[1]).not.toBe(work);
  });

  test("builds everything again after an interruption, whatever is left in dist/", async () => {
    // Some files of a build that was interrupted while it put them in place.
    await rm(join(clone, "dist/.sources"));
    await writeFile(join(clone, "dist/workers/work.js"), "throw new Error();\n");
    expect(await fanmail()).toEqual({ code: 0, stdout: "one\n", stderr: building });
    expect(await readFile(join(clone, "dist/workers/work.js"), "utf8")).toContain("export const work = 1;");
  });

  test("says what does not compile, and does not run the old build", async () => {
    await writeFile(join(clone, "workers/work.ts"), "export const work: string = 1;\n");

    const { code, stdout, stderr } = await fanmail();

    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("workers/work.ts(1,14): error TS2322");
    expect(stderr).toMatch(/\nfanmail: The sources do not compile: correct .+\n$/);
  });

  test("says what a change breaks in the files that import the changed one", async () => {
    await writeFile(
      join(clone, "src/one.ts"),
      'import { work } from "../workers/work.ts";\n\nwork.toFixed();\n',
    );
    await fanmail();
    await writeFile(join(clone, "workers/work.ts"), 'export const work = "1";\n');

    for (const _ of ["the first time", "and again"]) {
      const { code, stderr } = await fanmail();
      expect(code).toBe(1);
      expect(stderr).toContain("src/one.ts(3,6): error TS2339");
    }
  });

  test("commands that build at once do not break each other", async () => {
    await removeBuild();
    for (const [answer, stderr] of [
      ["one", building],
      ["two", rebuilding],
    ]) {
      await program(answer);
      const all = await Promise.all([fanmail(), fanmail(), fanmail()]);
      for (const ended of all) expect(ended).toEqual({ code: 0, stdout: `${answer}\n`, stderr });
      expect(await fanmail()).toEqual({ code: 0, stdout: `${answer}\n`, stderr: "" });
    }
  });

  test("a change while another process builds is not lost", async () => {
    await program("two");
    const first = fanmail();
    await setTimeout(300);
    await program("three");
    const second = fanmail();
    await Promise.all([first, second]);
    expect((await fanmail()).stdout).toBe("three\n");
  });

  test("says in one sentence that it may not write there", async () => {
    await removeBuild();
    const stranger = isRoot ? 65_534 : undefined;
    if (!isRoot) await chmod(clone, 0o555);

    const ended = await node("bin/fanmail.js", {}, stranger);

    await chmod(clone, 0o755);
    expect(ended).toEqual({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(
        /^fanmail: The build in \S+ is missing .+ cannot write there: run npm ci as the owner of \S+\n$/,
      ),
    });
  });

  test("without a compiler says to install it; npm ci --omit=dev does not fail", async () => {
    await removeBuild();
    await rm(join(clone, "node_modules"));
    await mkdir(join(clone, "node_modules"));
    const sentence = expect.stringMatching(
      /^fanmail: The build in \S+ is missing .+ no compiler: run npm ci in \S+\n$/,
    );

    expect(await fanmail()).toEqual({ code: 1, stdout: "", stderr: sentence });
    const prepare = await node("scripts/prepare.mjs", { npm_lifecycle_event: "prepare", npm_command: "ci" });
    expect(prepare).toEqual({ code: 0, stdout: "", stderr: sentence });
    const build = await node("scripts/prepare.mjs", { npm_lifecycle_event: "build" });
    expect(build).toEqual({ code: 1, stdout: "", stderr: sentence });
  });

  test("npm ci builds; npx leaves that to the command, whose words it shows", async () => {
    await removeBuild();
    await node("scripts/prepare.mjs", { npm_lifecycle_event: "prepare", npm_command: "exec" });
    expect((await fanmail()).stderr).toEqual(building);

    await program("two");
    await node("scripts/prepare.mjs", { npm_lifecycle_event: "prepare", npm_command: "ci" });
    expect(await fanmail()).toEqual({ code: 0, stdout: "two\n", stderr: "" });
  });
});

test("a package without sources runs its build, and writes nothing", async () => {
  for (const name of ["src", "workers", "scripts"]) await rm(join(clone, name), { recursive: true });
  expect(await fanmail()).toEqual({ code: 0, stdout: "one\n", stderr: "" });
});

test("the package holds the command and its build, and nothing that only a clone needs", async () => {
  freshBuild();
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { stdout } = await promisify(execFile)("npm", args, { cwd: root });
  const [{ files }] = JSON.parse(stdout);
  const paths: string[] = files.map(({ path }: { path: string }) => path);
  expect(paths).toEqual(
    expect.arrayContaining(["bin/fanmail.js", "dist/src/cli/main.js", "dist/swagger-ui/swagger-ui.css"]),
  );
  expect(paths.filter((path) => /^(scripts|src|workers|test|dist\/bench)\/|tsbuildinfo/.test(path))).toEqual(
    [],
  );
});

test("no dependency of the service runs an install script that npm would ask about", async () => {
  const { allowScripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const scripted = Object.entries<{ hasInstallScript?: true }>(packages)
    .filter(([path, { hasInstallScript }]) => path !== "" && hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ""));
  expect(Object.entries(allowScripts)).toEqual(scripted.map((name) => [name, false]));
});
