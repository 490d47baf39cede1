import { migrateQueues } from "../queue/backend.ts";
import { type Command, print, readArgs } from "./command.ts";
import { withStore } from "./with-store.ts";

export const migrateCommand: Command = {
  help: "Every other command does so too, when it opens the database. Processes that start together wait for one another.",
  async run(args) {
    readArgs(args, {});
    await withStore(async ({ migrated, config, databaseUrl }) => {
      if (config.queue.kind === "postgres") await migrateQueues(databaseUrl);
      print(migrated.length === 0 ? "The schema is up to date." : `Applied: ${migrated.join(", ")}`);
    });
    return 0;
  },
};
