import { openContext } from "../context.ts";
import { type Roles, startService } from "../service.ts";
import { type Command, environmentConfig, print, readArgs } from "./command.ts";
import { untilStopped } from "./until-stopped.ts";

export const start: Command = serve("start", "everything in one process: receiver, API and workers", {
  receiver: true,
  workers: true,
});
export const receiver: Command = serve("receiver", "the receiver and the API alone", {
  receiver: true,
  workers: false,
});
export const worker: Command = serve("worker", "the workers alone", { receiver: false, workers: true });

function serve(name: string, summary: string, roles: Roles): Command {
  return {
    name,
    summary,
    help: "It is configured by the environment (see the README). SIGTERM or Ctrl-C ends it: it finishes what it accepted.",
    async run(args) {
      readArgs(args, {});
      const context = await openContext(environmentConfig());
      const service = await startService(context, roles);
      print(service.url ? `fanmail listens on ${service.url}` : "fanmail works");
      return untilStopped(() => service.close());
    },
  };
}
