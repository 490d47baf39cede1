import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../src/package-info.ts";
import { ownBuild } from "./stage/stage.ts";

/** A fault of the product itself, which a run must find. It exists in a copy of the build only. */
export type Mutant = {
  name: string;
  /** What is taken away: the text `from` of a file of the build becomes `to`. */
  edits: readonly Edit[];
  /** The faults under which it shows; an empty list: it shows without any. */
  faults: readonly string[];
  /** Notifications a second. */
  rate: number;
  /** What the check must say about it. */
  shows: RegExp;
};

type Edit = { file: string; from: string; to: string };

export const mutants: readonly Mutant[] = [
  {
    name: "answers before the commit",
    edits: [
      {
        file: "src/receive/journal-writer.js",
        from: "waiting.push({ item, resolve, reject });",
        to: 'waiting.push({ item, resolve, reject }); resolve("stored");',
      },
    ],
    faults: ["killed", "PostgreSQL crashed", "way to the database cut"],
    rate: 300,
    shows: /^lost: .* was answered 200/,
  },
  {
    name: "no de-duplication of events",
    edits: [
      {
        file: "src/domain/mail/email-event.js",
        from: "computedId(occurredAt.getTime(), key)",
        to: "computedId(occurredAt.getTime(), [...key, String(Math.random())])",
      },
    ],
    faults: ["killed"],
    rate: 150,
    shows: /^counted twice: /,
  },
  {
    name: "no de-duplication of SNS messages",
    edits: [
      {
        file: "src/storage/journal.js",
        from: "rowSource(newColumns, batch, 3)",
        to: "rowSource(newColumns, batch.map((one) => ({ ...one, sns_message_id: crypto.randomUUID() })), 3)",
      },
    ],
    faults: ["killed"],
    rate: 150,
    shows: /^differs: message .* nobody has posted it/,
  },
  {
    name: "no lease fencing",
    edits: [
      {
        file: "src/storage/webhooks/leases.js",
        from: "deliveries.id = rows.delivery_id and deliveries.lease_id = $2",
        to: "deliveries.id = rows.delivery_id and $2::uuid is not null",
      },
    ],
    faults: ["frozen while posting, for longer than a lease"],
    rate: 150,
    shows: /^webhook: delivery of .* had succeeded and is retrying again/,
  },
  {
    name: "no lock order",
    edits: [
      {
        file: "src/storage/activity.js",
        from: "order by activity.project_id, activity.id for update of activity",
        to: "order by random() for update of activity",
      },
    ],
    faults: ["PostgreSQL frozen", "PostgreSQL crashed"],
    rate: 300,
    shows: /^conduct: \d+ deadlocks/,
  },
  {
    name: "events dropped on conflict",
    edits: [
      {
        file: "workers/fold-activities.js",
        from: "const insertedMeanwhile = await lockInserted(tx, others.map(nameOf));",
        to: "const insertedMeanwhile = [];",
      },
    ],
    faults: ["PostgreSQL frozen", "killed"],
    rate: 300,
    shows: /^lost: (sent|delivered|opened|clicked)/,
  },
  {
    name: "a window that is a millisecond too long",
    edits: [
      {
        file: "src/domain/mail/decision.js",
        from: "openedAt.getTime() - last.at.getTime() < windowSeconds * 1000",
        to: "openedAt.getTime() - last.at.getTime() <= windowSeconds * 1000",
      },
    ],
    faults: ["killed"],
    rate: 150,
    shows: /^differs: open_count of /,
  },
  {
    name: "no sweep",
    edits: [{ file: "workers/sweep.js", from: "await wakeBatches({ db, queues });", to: "" }],
    faults: ["killed", "PostgreSQL crashed"],
    rate: 150,
    shows: /^conduct: never finished.*"batches":[1-9]/,
  },
];

/** A build with a mutant in it. */
export type MutantBuild = { directory: string; remove(): Promise<void> };

/** @throws Error if the build has not exactly one place for an edit: the mutant is older than the code. */
export async function buildMutant({ name, edits }: Pick<Mutant, "name" | "edits">): Promise<MutantBuild> {
  const root = await mkdtemp(join(tmpdir(), "fanmail-mutant-"));
  const remove = () => rm(root, { recursive: true, force: true });
  try {
    const directory = join(root, "dist");
    await copyBuild(root, directory);
    for (const edit of edits) {
      const path = join(directory, edit.file);
      await writeFile(path, mutated(name, edit, await readFile(path, "utf8")));
    }
    return { directory, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function copyBuild(root: string, directory: string): Promise<void> {
  await mkdir(directory);
  for (const part of ["src", "workers"])
    await cp(join(ownBuild, part), join(directory, part), { recursive: true });
  for (const shared of ["node_modules", "migrations", "package.json"])
    await symlink(fileURLToPath(new URL(shared, packageRoot)), join(root, shared));
}

function mutated(name: string, { file, from, to }: Edit, text: string): string {
  const parts = text.split(from);
  if (parts.length !== 2)
    throw new Error(`Mutant "${name}": ${file} has ${parts.length - 1} places for its edit`);
  return parts.join(to);
}
