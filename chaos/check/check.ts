import type { PastFault } from "../faults/injector.ts";
import type { Stage } from "../stage/stage.ts";
import type { Traffic } from "../traffic.ts";
import { readAuditor } from "./auditor.ts";
import { checkEmails, type EmailFigures } from "./emails.ts";
import type { Findings } from "./findings.ts";
import { checkWebhooks, type WebhookFigures } from "./webhooks.ts";
import { checkWriters } from "./writers.ts";

/** Compares what the stage holds with the ledgers of its traffic, once nothing is left to do. */
export async function check(
  { db, services, postgres }: Stage,
  { load, sink, api, writers: { ledger } }: Traffic,
  faults: readonly PastFault[],
  findings: Findings,
): Promise<{ emails: EmailFigures; webhooks: WebhookFigures }> {
  const emails = await checkEmails(db, load.messages, new Set(ledger.erased), findings);
  const { arrivals } = sink;
  const webhooks = await checkWebhooks(db, { arrivals, endpoints: ledger.endpoints, faults }, findings);
  await checkWriters(db, api, ledger, findings);
  await readAuditor(db, findings);
  for (const what of load.answers.wrong) findings.add("conduct", what);
  for (const { name, crashes } of services)
    for (const { code, signal } of crashes)
      findings.add("conduct", `${name} ended by itself: ${code ?? signal}`);
  const deadlocks = await postgres.deadlocks();
  if (deadlocks > 0) findings.add("conduct", `${deadlocks} deadlocks`);
  return { emails, webhooks };
}
