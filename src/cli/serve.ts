import cluster from "node:cluster";
import { setFlagsFromString } from "node:v8";
import type { Config } from "../config.ts";
import { databaseName, openContext } from "../context.ts";
import { triggerTopic } from "../domain/mail/sns-message.ts";
import { type Addresses, preload, type Roles, type Service, startService } from "../service.ts";
import { type Command, environmentConfig, print, readOptions, UsageError } from "./command.ts";
import type { StartedMessage } from "./processes.ts";
import { startedUnlessStopped, stopRequest, untilStopped } from "./until-stopped.ts";

export const start: Command = serve({ receiver: true, workers: true });
export const receiver: Command = serve({ receiver: true, workers: false });
export const worker: Command = serve({ receiver: false, workers: true });

/** More than any machine that one PostgreSQL keeps up with has cores. */
const mostProcesses = 128;

function serve(roles: Roles): Command {
  return {
    help: `Options:
  --processes <number>   run so many processes, which share the port; one that ends is replaced (1 by default)

Configured by environment variables (see docs/configuration.md). SIGTERM or Ctrl-C ends it: it finishes what it has accepted.`,
    async run(args) {
      const { processes } = readOptions(args, { processes: { type: "string" } });
      const count = readProcesses(processes);
      const stop = stopRequest();
      if (count > 1 && cluster.isPrimary) {
        const { runProcesses } = await import("./processes.ts");
        return runProcesses(count, stop, (addresses) => print(`${greeting(addresses)} (${count} processes)`));
      }
      const service = await startedUnlessStopped(stop, serveUntil(stop, roles));
      if (service === null) return 0;
      const { url, healthUrl } = service;
      if (cluster.isWorker) cluster.worker?.send({ started: { url, healthUrl } } satisfies StartedMessage);
      else print(greeting(service));
      return untilStopped(stop, () => service.close());
    },
  };
}

function readProcesses(text: string | undefined): number {
  if (text === undefined) return 1;
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= mostProcesses) return count;
  throw new UsageError(`--processes must be a whole number from 1 to ${mostProcesses}, not "${text}"`);
}

/**
 * What waits for a commit together outlives a collection of young objects together. From that V8 may conclude early on that
 * what such code creates grows old, and from then on creates it as old: then it is kept, with all that it leads to, until the
 * whole heap is collected, and receiving costs a fifth more until the process ends.
 */
function keepYoung(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}

async function serveUntil(stop: AbortSignal, roles: Roles): Promise<Service> {
  if (roles.receiver) keepYoung();
  const config = await trustingTriggers(environmentConfig());
  // A process without a port that answers /metrics counts for nobody.
  const isMeasured = roles.receiver || config.metricsPort !== null;
  const context = await openContext(config, {
    stop,
    isMeasured,
    // The primary owns it.
    attach: cluster.isWorker,
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

function greeting({ url, healthUrl }: Addresses): string {
  const apart = healthUrl ? `; health and metrics on ${healthUrl}` : "";
  return `${url ? `fanmail listens on ${url}` : "fanmail works"}${apart}`;
}
