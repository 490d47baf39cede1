import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";

/** The package's directory; works in the sources and in the build below `dist/`. */
export const packageRoot: URL = findRoot(new URL("./", import.meta.url));

export const packageVersion: string = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL("package.json", packageRoot), "utf8"))).version;

export const migrationsDirectory: URL = new URL("migrations/", packageRoot);

function findRoot(directory: URL): URL {
  if (existsSync(new URL("package.json", directory))) return directory;
  const parent = new URL("../", directory);
  if (parent.href === directory.href) throw new Error("fanmail's package.json is missing beside its files");
  return findRoot(parent);
}
