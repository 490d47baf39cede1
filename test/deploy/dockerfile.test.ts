import { access, readFile } from "node:fs/promises";
import { validate } from "dockerfile-utils";
import { expect, test } from "vitest";
import { packageVersion } from "../../src/package-info.ts";
import { dockerfileStages, dockerfileText, image, pairsOf } from "./dockerfile.ts";

const root = new URL("../../", import.meta.url);

const lastStage = async () => (await dockerfileStages()).at(-1)?.instructions ?? [];

/** Paths that the Dockerfile takes from the repository, not from another stage. */
async function copied(): Promise<string[]> {
  const instructions = (await dockerfileStages()).flatMap((stage) => stage.instructions);
  return instructions
    .filter(({ keyword, text }) => keyword === "COPY" && !text.startsWith("--from="))
    .flatMap(({ text }) => text.split(" ").slice(0, -1));
}

/** Whether the engine leaves a path out of the context: the last pattern that matches it decides. */
async function isIgnored(path: string): Promise<boolean> {
  const lines = (await readFile(new URL(".dockerignore", root), "utf8")).split("\n");
  const patterns = lines.filter((line) => !/^\s*(#|$)/.test(line));
  const [top = ""] = path.split("/");
  const last = patterns.findLast((pattern) => ["*", top].includes(pattern.replace("!", "")));
  return last !== undefined && !last.startsWith("!");
}

test("a linter finds nothing in the Dockerfile", async () => {
  expect(validate(await dockerfileText())).toEqual([]);
});

test("every stage starts from one exact version of Node", async () => {
  const images = new Set((await dockerfileStages()).map((stage) => stage.image));

  expect([...images]).toEqual([expect.stringMatching(/^node:\d+\.\d+\.\d+-[a-z]+-slim$/)]);
});

test("the program runs as a user that is not root", async () => {
  const users = (await lastStage()).filter(({ keyword }) => keyword === "USER");

  expect(users.map(({ text }) => text)).toEqual(["node"]);
});

test("the program gets its arguments and signals, and is asked for its health without curl", async () => {
  const { entrypoint, command, healthcheck } = await image();

  expect(entrypoint).toEqual(["tini", "--", "node", "dist/src/cli/main.js"]);
  expect(command).toEqual(["start"]);
  expect(healthcheck.slice(0, 2)).toEqual(["node", "-e"]);
});

test("no secret is in the image, nor a setting that belongs to an installation", async () => {
  const names = (await dockerfileStages())
    .flatMap((stage) => stage.instructions)
    .filter(({ keyword }) => keyword === "ENV" || keyword === "ARG")
    .flatMap(({ text }) => pairsOf(text))
    .map(([name]) => name);

  expect(names.toSorted()).toEqual(["HOST", "METRICS_PORT", "NODE_ENV", "PORT", "REVISION", "VERSION"]);
});

test("the version on the image is the package's", async () => {
  const args = (await lastStage()).filter(({ keyword }) => keyword === "ARG");

  expect(args.flatMap(({ text: pairs }) => pairsOf(pairs))).toContainEqual(["VERSION", packageVersion]);
});

test("what is copied is in the repository and in the context", async () => {
  const paths = await copied();
  expect(paths).toContain("migrations");

  for (const path of paths) {
    await expect(access(new URL(path, root)), path).resolves.toBeUndefined();
    expect([path, await isIgnored(path)]).toEqual([path, false]);
  }
});

test("secrets, data and builds of the machine stay out of the context", async () => {
  for (const path of [".env", ".fanmail/encryption.key", "node_modules/pg", "dist/src", ".git/config"]) {
    expect([path, await isIgnored(path)]).toEqual([path, true]);
  }
});
