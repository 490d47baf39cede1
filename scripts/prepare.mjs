/** Run by `npm ci` in a clone, `npm run build` and `npm pack`: makes the build unless it is fresh. */

import { BuildError, ensureBuilt } from "./build.mjs";

const { npm_command: command, npm_lifecycle_event: script } = process.env;
const isPrepare = script === "prepare";

// `npx` in a clone runs this too, and hides its output: the command builds by itself, and says so.
if (!(isPrepare && command === "exec")) build();

function build() {
  try {
    ensureBuilt((duration) => process.stderr.write(`Building fanmail, ${duration}…\n`));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`fanmail: ${error.message}\n`);
    // `npm ci --omit=dev` installs no compiler, and need not fail: the build may come from elsewhere.
    process.exitCode = isPrepare && error.cause?.code === "MODULE_NOT_FOUND" ? 0 : 1;
  }
}
