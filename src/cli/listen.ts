import { randomBytes } from "node:crypto";
import { z } from "zod";
import { pause, systemClock } from "../clock.ts";
import { readOrMake } from "../data-dir.ts";
import { webhookEventTypes } from "../domain/mail/event-names.ts";
import type { AttemptResult } from "../domain/webhooks/outcome.ts";
import { webhookSecret } from "../domain/webhooks/signature.ts";
import { packageVersion } from "../package-info.ts";
import type { ToldWebhook } from "../storage/webhooks/deliveries.ts";
import { type Listener, openListener } from "../tools/listen/listener.ts";
import { createAddressGuard } from "../webhooks/address-guard.ts";
import { type WebhookConnections, webhookConnections } from "../webhooks/connections.ts";
import { postWebhook } from "../webhooks/post.ts";
import { createSocketRoom } from "../webhooks/socket-room.ts";
import { type Command, environmentConfig, print, readChoices, readHttpUrl, readOptions } from "./command.ts";
import { findService, readServiceUrl } from "./service-address.ts";
import { stopRequest } from "./until-stopped.ts";
import { projectNamed, withStore } from "./with-store.ts";

export const listen: Command = {
  help: [
    "npx fanmail listen [--forward http://localhost:8080/hook] [--events email.bounce,…|*] [--project default]",
    "                   [--url http://127.0.0.1:3000] [--json]",
    "",
    "Shows what webhooks tell while it runs, and forwards it, signed, to an address on this machine or anywhere else.",
    "The secret is printed at the start, and is the same each time (it is kept in DATA_DIR). Each webhook is forwarded",
    "once, in order of event time. --json prints the bodies, one a line. Ctrl-C ends it.",
    "While it runs, the service has an endpoint for it, which is disabled.",
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
    await findService(readServiceUrl(values.url ?? `http://127.0.0.1:${config.port}`));
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
  // Whoever runs the command names the address.
  const everywhere = createAddressGuard({ allowedCidrs: ["0.0.0.0/0", "::/0"] });
  const connections = webhookConnections(everywhere, createSocketRoom(1));
  try {
    while (!options.stopping.aborted) {
      const told = await listener.next();
      for (const webhook of told) await show(webhook, options, connections);
      if (told.length === 0) await pause(lookEveryMs, options.stopping);
    }
  } finally {
    connections.destroy();
  }
}

/** What of a body tells whom it is about. */
const About = z.object({
  data: z.object({ recipient: z.string().nullish(), email: z.string().nullish() }),
});

async function show(
  webhook: ToldWebhook,
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
  if (asJson) process.stderr.write(`${line}\n`);
  else print(line);
}

function post(
  { event_id, body }: ToldWebhook,
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
