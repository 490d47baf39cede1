import type { StoreContext } from "../context.ts";
import { hasEncryptionKeys, readEncryptionKeys } from "../data-dir.ts";
import { DataDirInUseError } from "../embedded/embedded-postgres.ts";
import { type KeyRotation, rotateToGivenKey, rotateToNewKey, tryRotation } from "../tools/keys/rotation.ts";
import { type Command, environmentConfig, print, printJson, readOptions } from "./command.ts";
import { withStore } from "./with-store.ts";

export const rotateEncryptionKey: Command = {
  help: [
    "npx fanmail rotate-encryption-key [--dry-run] [--json]",
    "",
    "Re-encrypts the secrets and headers of webhook endpoints with the current key, so that the previous one can be",
    "removed. If it was interrupted, run it again.",
    "",
    "With ENCRYPTION_KEY, while webhooks are sent:",
    "1. Make a key (openssl rand -base64 32), add it to ENCRYPTION_KEY_PREVIOUS of every process, and restart them: each",
    "   can then read what another encrypts with it. A single process does not need this step.",
    "2. Make it the ENCRYPTION_KEY of every process, and the old one ENCRYPTION_KEY_PREVIOUS; restart them.",
    "3. Run this command, with the same two variables.",
    "4. Remove the old key from ENCRYPTION_KEY_PREVIOUS, and restart.",
    "",
    "With the key that was generated in DATA_DIR: stop the service, run this command, start the service. It makes a new",
    "key, and removes the old one when nothing needs it any more. To switch to ENCRYPTION_KEY, start with step 2, with the",
    "generated key in ENCRYPTION_KEY_PREVIOUS.",
    "",
    "A backup needs the key that was in use when it was made: keep it with the backup.",
    "What no key can decrypt is listed and left as it is; the exit code is then 1.",
    "",
    "--dry-run  changes nothing; reports how much there is to re-encrypt, and what no key can decrypt",
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, {
      "dry-run": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    });
    const isDryRun = values["dry-run"];
    const isGiven = environmentConfig().encryptionKey !== null;
    const rotation = isDryRun
      ? await withStore((store) => tryRotation(store, !isGiven))
      : await (isGiven ? withStore(rotateToGivenKey) : asOwner(makeKey));
    if (values.json) reportJson(rotation, isDryRun);
    else report(rotation, isDryRun ? null : conclusions[isGiven ? "given" : "generated"]);
    return rotation.outcome === "complete" ? 0 : 1;
  },
};

type Conclusions = Record<KeyRotation["outcome"], string>;

const conclusions: Record<"given" | "generated", Conclusions> = {
  given: {
    complete:
      "When every process runs with this ENCRYPTION_KEY, take the old key out of ENCRYPTION_KEY_PREVIOUS.",
    refused:
      "Add the missing key to ENCRYPTION_KEY_PREVIOUS, or set these secrets and headers again; then run this again.",
    busy: "A process still encrypts with an old key: restart it with this ENCRYPTION_KEY, then run this again.",
  },
  generated: {
    complete: "The old key is removed.",
    refused:
      "Add the missing key as a line at the end of encryption.key, or set these secrets and headers again; then run this again.",
    busy: "The old key stays, because another command uses the database. Run this again when that has ended.",
  },
};

function makeKey({ db, config }: StoreContext): Promise<KeyRotation> {
  return rotateToNewKey(db, config.dataDir);
}

/** A running service would not know the new key, so it must be stopped. */
async function asOwner<Result>(work: (store: StoreContext) => Promise<Result>): Promise<Result> {
  const { dataDir } = environmentConfig();
  // A file without valid keys must be fixed first, whatever else is wrong.
  if (hasEncryptionKeys(dataDir)) await readEncryptionKeys(dataDir);
  return withStore(work, { makes: false, owns: true }).catch((cause) => {
    throw cause instanceof DataDirInUseError ? new Error("Stop the service first", { cause }) : cause;
  });
}

function reportJson({ outcome, counts, refused }: KeyRotation, isDryRun: boolean): void {
  printJson({
    outcome,
    dry_run: isDryRun,
    secrets: counts.secret,
    header_sets: counts.headers,
    refused: refused.map(({ id: _, ...rest }) => rest),
  });
}

function report({ outcome, counts, refused }: KeyRotation, conclusion: Conclusions | null): void {
  const verb = conclusion === null ? "Would be re-encrypted" : "Re-encrypted";
  print(`${verb}: ${numbered(counts.secret, "secret")}, ${numbered(counts.headers, "set")} of headers.`);
  for (const { kind, endpoint_id, reason } of refused) {
    process.stderr.write(`Left as it is: ${kind} of endpoint ${endpoint_id}. ${reason}.\n`);
  }
  if (conclusion === null) return;
  if (outcome === "complete") print(conclusion.complete);
  else process.stderr.write(`${conclusion[outcome]}\n`);
}

function numbered(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
