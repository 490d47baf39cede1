import { openContext } from "../context.ts";
import { type Roles, type Service, startService } from "../service.ts";
import { type Command, environmentConfig, print, readArgs } from "./command.ts";
import { stopRequest, untilStopped } from "./until-stopped.ts";

export const start: Command = serve({ receiver: true, workers: true });
export const receiver: Command = serve({ receiver: true, workers: false });
export const worker: Command = serve({ receiver: false, workers: true });

function serve(roles: Roles): Command {
  return {
    help: "It is configured by the environment (see the README). SIGTERM or Ctrl-C ends it: it finishes what it accepted.",
    async run(args) {
      readArgs(args, {});
      const stop = stopRequest();
      const context = await openContext(environmentConfig());
      const service = await startService(context, roles);
      print(greeting(service));
      return untilStopped(stop, () => service.close());
    },
  };
}

function greeting({ url, healthUrl }: Service): string {
  const apart = healthUrl ? `; health and metrics on ${healthUrl}` : "";
  return `${url ? `fanmail listens on ${url}` : "fanmail works"}${apart}`;
}
