import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { z } from "zod";
import { pause, systemClock } from "../clock.ts";
import { readOrMake } from "../data-dir.ts";
import { webhookEventTypes } from "../domain/mail/event-names.ts";
import type { AttemptResult } from "../domain/webhooks/outcome.ts";
import { webhookSecret } from "../domain/webhooks/signature.ts";
import { packageVersion } from "../package-info.ts";
import { type HeldWebhook, takeHeld } from "../storage/webhooks/deliveries.ts";
import { type Endpoint, listEndpoints, markDisabled } from "../storage/webhooks/endpoints.ts";
import { createAddressGuard } from "../webhooks/address-guard.ts";
import { type WebhookConnections, webhookConnections } from "../webhooks/connections.ts";
import { addEndpoint, type EndpointContext, removeEndpoint } from "../webhooks/endpoints.ts";
import { postWebhook } from "../webhooks/post.ts";
import { createSocketRoom } from "../webhooks/socket-room.ts";
import { type Command, environmentConfig, print, readChoices, readHttpUrl, readOptions } from "./command.ts";
import { printable } from "./output.ts";
import { stopRequest } from "./until-stopped.ts";
import { projectNamed, runningService, withStore } from "./with-store.ts";

export const listen: Command = {
  help: [
    "npx fanmail listen [--forward http://localhost:8080/hook] [--events email.bounce,…|*] [--project default]",
    "                   [--url http://127.0.0.1:3000] [--json]",
    "",
    "Shows webhooks live, and forwards them, signed, to a URL on this machine or anywhere else. The secret is printed at",
    "the start, and is the same each time (it is kept in DATA_DIR). Each webhook is forwarded once, in order of event",
    "time. --json prints the bodies, one per line. Ctrl-C ends it.",
    "While it runs, the service has a disabled endpoint for it.",
    `Events: ${webhookEventTypes.join(", ")}, or * for all.`,
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, {
      forward: { type: "string" },
      events: { type: "string", default: "*" },
      project: { type: "string", default: "default" },
      url: { type: "string" },
      json: { type: "boolean", default: false },
    });
    const forward =
      values.forward === undefined
        ? null
        : readHttpUrl("--forward", values.forward, "http://localhost:8080/hook");
    const events = readChoices("events", values.events, ["*", ...webhookEventTypes]);
    const config = environmentConfig();
    await runningService(values.url, config);
    const stopping = stopRequest();
    return withStore(async (store) => {
      const project = await projectNamed(store, values.project);
      const listener = await openListener(store, project.id, events);
      try {
        const secret = await readOrMake(config.dataDir, "listen-secret", () =>
          webhookSecret(randomBytes(32)),
        );
        process.stderr.write(greeting(forward, secret));
        await hear(listener, { forward, secret, asJson: values.json, stopping });
        return 0;
      } finally {
        await listener.close();
      }
    });
  },
};

type HearOptions = { forward: string | null; secret: string; asJson: boolean; stopping: AbortSignal };

const lookEveryMs = 250;

function greeting(forward: string | null, secret: string): string {
  const what = forward === null ? "" : `, and forwarding to ${forward}, signed with ${secret}`;
  return `Listening to webhooks${what}. Ctrl-C ends it.\n`;
}

async function hear(listener: Listener, options: HearOptions): Promise<void> {
  // The user of the command chose the address, so every network is allowed.
  const everywhere = createAddressGuard({ allowedCidrs: ["0.0.0.0/0", "::/0"] });
  const connections = webhookConnections(everywhere, createSocketRoom(1));
  try {
    while (!options.stopping.aborted) {
      const webhooks = await listener.next();
      for (const webhook of webhooks) await show(webhook, options, connections);
      if (webhooks.length === 0) await pause(lookEveryMs, options.stopping);
    }
  } finally {
    connections.destroy();
  }
}

/** The fields of a body that name the recipient. */
const About = z.object({
  data: z.object({ recipient: z.string().nullish(), email: z.string().nullish() }),
});

async function show(
  webhook: HeldWebhook,
  options: HearOptions,
  connections: WebhookConnections,
): Promise<void> {
  const { forward, asJson } = options;
  if (asJson) print(webhook.body);
  const answer =
    forward === null ? "" : `  → ${answerText(await post(webhook, forward, options, connections))}`;
  const { data } = About.parse(JSON.parse(webhook.body));
  const time = systemClock.now().toISOString().slice(11, 19);
  const line = `${time}  ${webhook.event_type}  ${data.recipient ?? data.email ?? ""}${answer}`;
  if (asJson) process.stderr.write(`${printable(line)}\n`);
  else print(line);
}

function post(
  { event_id, body }: HeldWebhook,
  url: string,
  { secret, stopping }: HearOptions,
  connections: WebhookConnections,
): Promise<AttemptResult> {
  const attempt = { eventId: event_id, body, attempt: 1, secrets: [secret], headers: {} };
  return postWebhook(
    { url, ...attempt, legacySignature: false },
    { connections, now: systemClock.now, userAgent: `Fanmail/${packageVersion}`, stopping },
  );
}

function answerText(result: AttemptResult): string {
  if (result.kind === "released") return "broken off";
  if (result.kind === "our-fault") return result.message;
  if (result.failure === null) return String(result.status);
  return [result.status, result.failure, result.message].filter((part) => part !== null).join(" ");
}

/** Receives webhooks without a URL that they could be posted to. */
type Listener = {
  /** The webhooks since the last call, oldest event first. */
  next(): Promise<HeldWebhook[]>;
  close(): Promise<void>;
};

const takenTogether = 100;
/** Nothing can be posted there: the name cannot exist (RFC 2606). */
const noAddress = "https://fanmail-listen.invalid/";

/**
 * Adds a disabled endpoint, so that its webhooks are held for it, byte for byte as other endpoints get them. The endpoint of
 * a killed listener is removed by the next one on the same machine.
 */
async function openListener(
  { db, clock, secretBox }: EndpointContext,
  projectId: string,
  eventTypes: string[],
): Promise<Listener> {
  for (const endpoint of await listEndpoints(db, [projectId])) {
    if (isAbandoned(endpoint)) await removeEndpoint(db, endpoint);
  }
  const endpoint = await db.transaction(async (tx) => {
    const settings = { event_types: eventTypes, description: descriptionOf(process.pid) };
    const { id } = await addEndpoint({ db: tx, clock, secretBox }, projectId, noAddress, settings);
    await markDisabled(tx, { project_id: projectId, id }, "manual");
    return { project_id: projectId, id };
  });
  return {
    next: () => takeHeld(db, endpoint, takenTogether),
    async close() {
      await removeEndpoint(db, endpoint);
    },
  };
}

function descriptionOf(pid: number | string): string {
  return `fanmail listen on ${hostname()}, process ${pid}`;
}

function isAbandoned({ url, description }: Endpoint): boolean {
  const pid = /(\d+)$/.exec(description ?? "")?.[1];
  return (
    url === noAddress && pid !== undefined && description === descriptionOf(pid) && !isRunning(Number(pid))
  );
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists but belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
