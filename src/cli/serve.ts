import type { Config } from "../config.ts";
import { databaseName, openContext } from "../context.ts";
import { triggerTopic } from "../domain/mail/sns-message.ts";
import { preload, type Roles, type Service, startService } from "../service.ts";
import { type Command, environmentConfig, print, readOptions } from "./command.ts";
import { startedUnlessStopped, stopRequest, untilStopped } from "./until-stopped.ts";

export const start: Command = serve({ receiver: true, workers: true });
export const receiver: Command = serve({ receiver: true, workers: false });
export const worker: Command = serve({ receiver: false, workers: true });

function serve(roles: Roles): Command {
  return {
    help: "Configured by environment variables (see docs/configuration.md). SIGTERM or Ctrl-C ends it: it finishes what it has accepted.",
    async run(args) {
      readOptions(args, {});
      const stop = stopRequest();
      const service = await startedUnlessStopped(stop, serveUntil(stop, roles));
      if (service === null) return 0;
      print(greeting(service));
      return untilStopped(stop, () => service.close());
    },
  };
}

async function serveUntil(stop: AbortSignal, roles: Roles): Promise<Service> {
  const config = await trustingTriggers(environmentConfig());
  // A process without a port that answers /metrics counts for nobody.
  const isMeasured = roles.receiver || config.metricsPort !== null;
  const context = await openContext(config, {
    stop,
    isMeasured,
    whileOpening: () => preload(config, roles),
  });
  context.log.info({ database: databaseName(config) }, "database opened");
  return startService(context, roles);
}

/**
 * Accepts what `fanmail trigger` signs, if the database is embedded: the signing key is in DATA_DIR too, so that access to
 * one means access to the other.
 */
async function trustingTriggers(config: Config): Promise<Config> {
  if (config.databaseUrl !== null || process.env["NODE_ENV"] === "production") return config;
  const { localSigner } = await import("../tools/captures/local-signer.ts");
  const { certificateUrl, certificatePath } = await localSigner(config.dataDir);
  const trusted = new Map(config.localCertificates).set(certificateUrl(triggerTopic), certificatePath);
  return { ...config, localCertificates: trusted };
}

function greeting({ url, healthUrl }: Service): string {
  const apart = healthUrl ? `; health and metrics on ${healthUrl}` : "";
  return `${url ? `fanmail listens on ${url}` : "fanmail works"}${apart}`;
}
