import { type Command, print, readOptions } from "./command.ts";
import { making, withStore } from "./with-store.ts";

export const migrateCommand: Command = {
  help: "Every other command does this too when it opens the database. Processes that start together wait for each other.",
  async run(args) {
    readOptions(args, {});
    await withStore(async ({ migrated, config, databaseUrl }) => {
      const { chooseBackend } = await import("../queue/queues.ts");
      await (await chooseBackend(config.redisUrls)).migrate(databaseUrl);
      print(migrated.length === 0 ? "The schema is up to date." : `Applied: ${migrated.join(", ")}`);
    }, making);
    return 0;
  },
};
