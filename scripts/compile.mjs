/**
 * Compiles the sources into a draft of `dist/`, for build.mjs, which puts the files in place:
 * `node scripts/compile.mjs <draft> <build info> full|incremental`. The exit code is 1 if something does not compile.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../", import.meta.url));
const [draft = "", buildInfo = "", mode = "full"] = process.argv.slice(2);

const program = openProgram();
const errors = errorsOf(program);
if (errors.length === 0) program.emit(undefined, writeToDraft);
process.stderr.write(ts.formatDiagnostics(errors, diagnosticsHost()));
process.exitCode = errors.length > 0 ? 1 : 0;

function openProgram() {
  const { options, fileNames, errors: configFileParsingDiagnostics } = readConfig();
  const host = ts.createIncrementalCompilerHost(options);
  // A build info describes the files in `dist/`, so one that does not match them must not be used.
  const readFile = (path) => (mode !== "incremental" && path === buildInfo ? undefined : host.readFile(path));
  return ts.createIncrementalProgram({
    rootNames: fileNames,
    options,
    configFileParsingDiagnostics,
    host: { ...host, readFile },
  });
}

function readConfig() {
  const options = {
    incremental: true,
    tsBuildInfoFile: buildInfo,
    // Not written, but compared: if they stay the same, the files that import a changed one need no check.
    declaration: true,
  };
  const onUnRecoverableConfigFileDiagnostic = ({ messageText }) => {
    throw new Error(ts.flattenDiagnosticMessageText(messageText, "\n"));
  };
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic };
  return ts.getParsedCommandLineOfConfigFile(join(root, "tsconfig.build.json"), options, host);
}

function errorsOf(program) {
  return [
    ...program.getConfigFileParsingDiagnostics(),
    ...program.getOptionsDiagnostics(),
    ...program.getSyntacticDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...program.getSemanticDiagnostics(),
  ];
}

/** @param {string} path in `dist/` @param {string} text */
function writeToDraft(path, text) {
  if (path.endsWith(".d.ts")) return;
  const target = join(draft, relative(join(root, "dist"), path));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

/** @returns {ts.FormatDiagnosticsHost} */
function diagnosticsHost() {
  return {
    getCurrentDirectory: () => root,
    getCanonicalFileName: (path) => path,
    getNewLine: () => "\n",
  };
}
