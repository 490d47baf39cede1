import { parseAddress } from "../domain/address.ts";
import { apiStatus } from "../domain/mail/activity-status.ts";
import { activityName } from "../domain/mail/event-names.ts";
import { explain } from "../domain/mail/explanation.ts";
import { triggerTopic } from "../domain/mail/sns-message.ts";
import { localSigner } from "../tools/captures/local-signer.ts";
import { type ExampleType, exampleTypes } from "../tools/trigger/notification.ts";
import { runTrigger, type TriggerOptions, type TriggerOutcome } from "../tools/trigger/run-trigger.ts";
import { type Command, environmentConfig, print, printJson, readArgs, table, UsageError } from "./command.ts";
import { stopRequest } from "./until-stopped.ts";
import { projectNamed, runningService, withStore } from "./with-store.ts";

export const trigger: Command = {
  help: [
    "npx fanmail trigger <type> --to me@example.com[,you@example.com] [--machine] [--count N] [--message-id ID]",
    "                    [--project default] [--url http://127.0.0.1:3000] [--json]",
    "npx fanmail trigger --list",
    "",
    "Posts a notification to a running service as SNS would, and shows the result: the rows, the discarded events, the",
    "webhooks. The email was never sent, but everything else is real: a bounce or complaint suppresses the address.",
    "A service with an embedded database accepts it as is; any other if it is started with the variables that are printed",
    "after a refusal.",
    "",
    "  --to          the recipients, separated by commas or each with its own --to",
    "  --machine     an open or click by a machine",
    "  --count N     N emails, up to 1000",
    "  --message-id  an email that was triggered before, to add an event to it",
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, options);
    if (values.list) return printTypes();
    const asked = {
      type: readType(positionals),
      recipients: readRecipients(values.to ?? []),
      count: readCount(values.count),
      isMachine: values.machine,
      messageId: values["message-id"] ?? null,
    };
    if (asked.messageId !== null && asked.count > 1)
      throw new UsageError("--message-id names one email: leave --count out");
    const config = environmentConfig();
    const url = await runningService(values.url, config);
    const signer = await localSigner(config.dataDir);
    const stopping = stopRequest();
    return withStore(async (store) => {
      const project = await projectNamed(store, values.project);
      const receiver = `${url}/ingest/sns`;
      const outcome = await runTrigger(store, { ...asked, url: receiver, project, signer, stopping });
      if (values.json) printJson(jsonOf(outcome));
      else printOutcome(outcome);
      const faults = faultsOf(outcome, { signer });
      for (const fault of faults) process.stderr.write(`fanmail trigger: ${fault}\n`);
      return faults.length > 0 ? 1 : 0;
    });
  },
};

const options = {
  to: { type: "string", multiple: true },
  machine: { type: "boolean", default: false },
  count: { type: "string", default: "1" },
  "message-id": { type: "string" },
  project: { type: "string", default: "default" },
  url: { type: "string" },
  list: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

function printTypes(): number {
  for (const line of table(Object.entries(exampleTypes))) print(line);
  return 0;
}

function readType([name, ...more]: string[]): ExampleType {
  if (name === undefined || more.length > 0)
    throw new UsageError(`Name one type of event: ${Object.keys(exampleTypes).join(", ")}`);
  if (isType(name)) return name;
  throw new UsageError(`There is no type "${name}". There are: ${Object.keys(exampleTypes).join(", ")}`);
}

function isType(name: string): name is ExampleType {
  return Object.hasOwn(exampleTypes, name);
}

/** The maximum of SES. */
const maxRecipients = 50;

function readRecipients(given: readonly string[]): string[] {
  const recipients = given
    .flatMap((text) => text.split(","))
    .map((text) => text.trim())
    .filter((text) => text !== "");
  if (recipients.length === 0) throw new UsageError("Name the recipient: --to me@example.com");
  const wrong = recipients.find((text) => parseAddress(text) === null);
  if (wrong !== undefined) throw new UsageError(`--to: "${wrong}" is not an email address`);
  if (recipients.length > maxRecipients)
    throw new UsageError(`--to takes at most ${maxRecipients} recipients, as SES does`);
  return recipients;
}

function readCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1_000) return Number(text);
  throw new UsageError("--count takes a whole number from 1 to 1000");
}

/** For more, numbers are enough. */
const shownEmails = 5;

function printOutcome({ counts, messageIds, rows }: TriggerOutcome): void {
  print(`${counts.stored} posted and stored`);
  const shown = new Set(messageIds.slice(0, shownEmails));
  for (const row of rows.filter(({ message_id }) => shown.has(message_id))) {
    const suppressed = row.is_suppressed ? ", suppressed" : "";
    print(`\n${row.recipient}: ${apiStatus(row.current_status)}${suppressed}   (GET /v1/activity/${row.id})`);
    for (const line of table(row.events.flatMap(eventLines))) print(`  ${line}`);
    const last = row.events.at(-1);
    const explanation = last ? explain(last) : null;
    if (explanation !== null) print(`  ${explanation}`);
  }
  if (messageIds.length > shownEmails) print(`\n… and ${messageIds.length - shownEmails} more emails`);
  if (rows.length > 0) print(`\nMore of the first: --message-id ${messageIds[0]}`);
}

type EventOutcome = TriggerOutcome["rows"][number]["events"][number];

function eventLines({ type, occurred_at, detail, discarded, deliveries }: EventOutcome): string[][] {
  const machine = detail.machine ? ` (${detail.machine})` : "";
  const note = discarded === null ? "counts" : `discarded: ${discarded}${machine}`;
  return [
    [occurred_at.toISOString(), activityName(type), note],
    ...deliveries.map(({ event_type, url, state, status }) => [
      "",
      `webhook ${event_type}`,
      `${state}${status === null ? "" : ` ${status}`}, ${new URL(url).origin}`,
    ]),
  ];
}

function jsonOf({ counts, messageIds, applied, quarantined, rows }: TriggerOutcome): object {
  return {
    stored: counts.stored,
    failed: Object.fromEntries(counts.failed),
    applied,
    quarantined,
    message_ids: messageIds,
    rows: rows.map(({ events, ...row }) => ({
      ...row,
      events: events.map(({ owner_id: _, deliveries, ...event }) => ({ ...event, deliveries })),
    })),
  };
}

function faultsOf(
  { counts, applied, quarantined }: TriggerOutcome,
  { signer }: Pick<TriggerOptions, "signer">,
): string[] {
  const trust = `Start the service with SNS_LOCAL_CERTS=${signer.certificateUrl(triggerTopic)}=${signer.certificatePath}`;
  const needsTrust = counts.distrusted.signedHere.size > 0;
  return [
    ...[...counts.failed].map(([cause, count]) => `${count} not taken: ${cause}`),
    ...(needsTrust ? [trust] : []),
    ...quarantined.map((reason) => `quarantined: ${reason}`),
    ...(applied < counts.stored
      ? [`${counts.stored - applied} are stored, and no worker has applied them: does fanmail worker run?`]
      : []),
  ];
}
