import { latestStatuses, type StatusRow } from "../../storage/account-statuses.ts";
import type { Database } from "../../storage/database.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { ended, excerpt } from "./wording.ts";

const shownAtMost = 20;
const lookedAtMost = 1_000;

/** What SES has said of the account and its tenants, through EventBridge; nothing where it has said nothing. */
export async function lookAtAccountStatuses(db: Database): Promise<Observation[]> {
  const latest = await latestStatuses(db, null, lookedAtMost);
  const newest = latest[0];
  if (newest === undefined) return [];
  const troubles = latest.flatMap(troubleOf).slice(0, shownAtMost);
  if (troubles.length > 0) return troubles;
  const when = newest.occurred_at.toISOString();
  return [ok(`Amazon SES reports sending enabled and no open recommendation, the last time at ${when}.`)];
}

function troubleOf(one: StatusRow): Observation[] {
  const since = `since ${one.occurred_at.toISOString()}`;
  const reason = one.reason === null ? "no reason is given" : excerpt(one.reason);
  if (one.status === "disabled") {
    const what = `Amazon SES has sending disabled for ${subjectOf(one)} ${since}: ${ended(reason)}`;
    // A tenant may be paused on purpose, and the others still send.
    return [one.tenant_name === null ? fail(what, remedyOf(one)) : warn(what, remedyOf(one))];
  }
  if (one.status !== "open") return [];
  const kind = [one.impact, one.recommendation_type].filter((part) => part !== null).join(" ");
  const about = `${kind ? `${kind} ` : ""}recommendation for ${subjectOf(one)}`;
  return [warn(`Amazon SES has an open ${about} ${since}: ${ended(reason)}`, remedyOf(one))];
}

function subjectOf({ account_id, region, tenant_name, resources }: StatusRow): string {
  const place = `account ${account_id ?? "unknown"} in ${region ?? "an unknown region"}`;
  if (tenant_name !== null) return `the tenant ${excerpt(tenant_name)} of ${place}`;
  const resource = resources[0];
  return resource === undefined ? place : `${excerpt(resource)} of ${place}`;
}

function remedyOf({ region }: StatusRow): string {
  const where = region === null ? "" : ` in ${region}`;
  return `Look at Account dashboard, Tenants and Virtual Deliverability Manager in the console of SES${where}; the event that says it is resolved clears this.`;
}
