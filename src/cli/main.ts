#!/usr/bin/env node
import { watchOutput } from "./output.ts";
import { runCommand } from "./run-command.ts";
import { endSoon } from "./until-stopped.ts";

watchOutput();
process.exitCode = await runCommand(process.argv.slice(2));
endSoon();
