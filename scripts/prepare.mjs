/** What `npm ci` runs in a clone, and `npm run build` and `npm pack`: makes the build unless it is fresh. */

import { BuildError, ensureBuilt } from "./build.mjs";

const { npm_command: command, npm_lifecycle_event: script } = process.env;
const isPrepare = script === "prepare";

// `npx` in a clone runs this too, and hides what it prints: the command builds for itself, and says so.
if (!(isPrepare && command === "exec")) build();

function build() {
  try {
    ensureBuilt(() => process.stderr.write("Building fanmail, about 10 seconds…\n"));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`fanmail: ${error.message}\n`);
    // `npm ci --omit=dev` leaves the compiler out, and may be right: a build can come from elsewhere.
    process.exitCode = isPrepare && error.cause?.code === "MODULE_NOT_FOUND" ? 0 : 1;
  }
}
