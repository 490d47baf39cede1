import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const root = new URL("../", import.meta.url).pathname;
const read = (path: string) => readFileSync(root + path, "utf8");
const manifest = JSON.parse(read("package.json"));
type Locked = { version: string; dev?: true; integrity?: string; resolved?: string; license?: string };
const { packages }: { packages: Record<string, Locked> } = JSON.parse(read("package-lock.json"));

/** The rows of a table, by the heading above it; cells of code without their quotes. */
function rowsBelow(heading: string): string[][] {
  const section = read("docs/dependencies.md").split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("| `"));
  return lines.map((line) =>
    line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => cell.replaceAll("`", "")),
  );
}

const names = (heading: string) => rowsBelow(heading).map(([name]) => name);

describe("docs/dependencies.md", () => {
  test("docs/dependencies.md has a row for every dependency of the service, and no other", () => {
    expect(names("Packages")).toEqual(Object.keys(manifest.dependencies));
    expect(names("Embedded PostgreSQL")).toEqual(Object.keys(manifest.optionalDependencies));
    expect(names("Overrides")).toEqual(Object.keys(manifest.overrides));
  });

  test("names the licence of each", () => {
    const rows = [...rowsBelow("Packages"), ...rowsBelow("Embedded PostgreSQL")];
    const told = rows.map((row) => [row[0], row.at(-1)]);
    expect(told).toEqual(rows.map(([name]) => [name, packages[`node_modules/${name}`]?.license]));
  });

  test("says where each is used", () => {
    const files = ["src", "workers"].flatMap((folder) =>
      readdirSync(root + folder, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `${folder}/${name}`),
    );
    const roomOf = (file: string) =>
      file.startsWith("workers/") ? "workers" : file.split("/").slice(0, 2).join("/");
    const usedIn = (name: string) => {
      const isImported = new RegExp(`(from |import\\()"${name.replaceAll(".", "\\.")}(/[^"]*)?"`);
      return [...new Set(files.filter((file) => isImported.test(read(file))).map(roomOf))].sort().join(", ");
    };
    const rows = rowsBelow("Packages");
    expect(rows.map(([name, , rooms]) => [name, rooms])).toEqual(
      rows.map(([name = ""]) => [name, usedIn(name)]),
    );
  });
});

test("every package has a checksum, and none says where it is fetched", () => {
  const installed = Object.entries(packages).filter(([path]) => path !== "");
  expect(installed.length).toBeGreaterThan(400);
  for (const [path, { integrity, resolved }] of installed) {
    expect([path, integrity, resolved]).toEqual([path, expect.stringMatching(/^sha512-/), undefined]);
  }
});

type Bill = { components: { name: string; version: string; hashes: unknown[]; licenses: unknown[] }[] };
type SpdxBill = { packages: { name: string; versionInfo: string }[] };

describe("npm run sbom", () => {
  const inProduction = Object.entries(packages)
    .filter(([path, { dev }]) => path !== "" && !dev)
    .map(([path, { version }]) => `${path.replace(/.*node_modules\//, "")} ${version}`);
  const written = async (...more: string[]) => {
    const { stdout } = await promisify(execFile)("npm", ["run", "--silent", "sbom", ...more], {
      cwd: root,
      maxBuffer: 8e6,
    });
    return JSON.parse(stdout);
  };

  test("lists what is installed in production, each with a checksum and a licence, in the form of CycloneDX", async () => {
    const { components }: Bill = await written();
    const listed = components.map(({ name, version }) => `${name} ${version}`);
    expect(new Set(listed)).toEqual(new Set(inProduction));
    expect(components.filter(({ hashes, licenses }) => hashes.length === 0 || licenses.length === 0)).toEqual(
      [],
    );
  });

  test("and in the form of SPDX", async () => {
    const bill: SpdxBill = await written("--", "--sbom-format=spdx");
    const listed = bill.packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`);
    expect(new Set(listed)).toEqual(new Set([...inProduction, `fanmail ${manifest.version}`]));
  });
});
