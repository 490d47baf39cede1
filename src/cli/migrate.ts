import { type Command, print, readArgs } from "./command.ts";
import { withStore } from "./with-store.ts";

export const migrateCommand: Command = {
  name: "migrate",
  summary: "brings the database's schema up to date",
  help: "Every other command does so too, when it opens the database. Processes that start together wait for one another.",
  async run(args) {
    readArgs(args, {});
    await withStore(async ({ migrated }) => {
      print(migrated.length === 0 ? "The schema is up to date." : `Applied: ${migrated.join(", ")}`);
    });
    return 0;
  },
};
