import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Makes `dist/` from the sources as they are, so that no test runs an old build. */
export function freshBuild(): void {
  const script = fileURLToPath(new URL("../../scripts/prepare.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" });
  if (status !== 0) throw new Error(`The build failed:\n${stderr}`);
}
