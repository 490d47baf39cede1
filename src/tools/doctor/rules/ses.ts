import { eventDestinationName, sesEventTypes } from "../../../aws/ses-connection.ts";
import { ended, excerpt, nameOf } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type AccountStatusFact = FactOf<"account-status">;

const reasonOf = ({ reason }: AccountStatusFact) =>
  ended(reason === null ? "no reason is given" : excerpt(reason));
const sinceOf = ({ occurred_at }: AccountStatusFact) => `since ${occurred_at.toISOString()}`;

function subjectOf({ account_id, region, tenant_name, resources }: AccountStatusFact): string {
  const place = `account ${account_id ?? "unknown"} in ${region ?? "an unknown region"}`;
  if (tenant_name !== null) return `the tenant ${excerpt(tenant_name)} of ${place}`;
  const resource = resources[0];
  return resource === undefined ? place : `${excerpt(resource)} of ${place}`;
}

const accountStatus = {
  area: "ses",
  remedy: ({ region }: AccountStatusFact) =>
    `Look at Account dashboard, Tenants and Virtual Deliverability Manager in the console of SES${region === null ? "" : ` in ${region}`}; the event that reports it as resolved clears this.`,
} as const;

const sendingDisabled = {
  ...accountStatus,
  say: (fact: AccountStatusFact) =>
    `Amazon SES has sending disabled for ${subjectOf(fact)} ${sinceOf(fact)}: ${reasonOf(fact)}`,
} as const;

/** What SES has reported through EventBridge. */
const accountStatusRules = [
  rule("account-statuses", {
    code: "account-status",
    area: "ses",
    level: "ok",
    when: (fact) => fact.troubles === 0 && fact,
    say: ({ newest }) =>
      `Amazon SES reports sending enabled and no open recommendation, the last time at ${newest.toISOString()}.`,
  }),
  rule("account-status", {
    ...sendingDisabled,
    code: "account-disabled",
    level: "fail",
    when: (fact) => fact.status === "disabled" && fact.tenant_name === null && fact,
  }),
  rule("account-status", {
    ...sendingDisabled,
    code: "tenant-disabled",
    // A tenant may be paused on purpose, while others still send.
    level: "warn",
    when: (fact) => fact.status === "disabled" && fact.tenant_name !== null && fact,
  }),
  rule("account-status", {
    ...accountStatus,
    code: "account-recommendation",
    level: "warn",
    when: (fact) => fact.status === "open" && fact,
    say: (fact) =>
      `Amazon SES has an open ${[fact.impact, fact.recommendation_type, "recommendation"].filter(Boolean).join(" ")} for ${subjectOf(fact)} ${sinceOf(fact)}: ${reasonOf(fact)}`,
  }),
];

type AccountFact = FactOf<"ses-account">;

const isUnderReview = ({ enforcement }: AccountFact) => !["", "HEALTHY"].includes(enforcement);

const accountRules = [
  rule("ses-account", {
    code: "sending-paused",
    area: "ses",
    level: "warn",
    when: (fact) => !fact.isSending && fact,
    say: ({ region }) => `Sending is paused for the SES account in ${region}, so there are no events.`,
    remedy:
      "Find out why in the SES console; to go on: aws sesv2 put-account-sending-attributes --sending-enabled.",
  }),
  rule("ses-account", {
    code: "sandbox",
    area: "ses",
    level: "warn",
    when: (fact) => fact.isInSandbox && fact,
    say: ({ region }) =>
      `The SES account is in the sandbox in ${region}: it sends to verified addresses only.`,
    remedy: "Request production access on the account dashboard of the SES console.",
  }),
  rule("ses-account", {
    code: "under-review",
    area: "ses",
    level: "warn",
    when: (fact) => isUnderReview(fact) && fact,
    say: ({ region, enforcement }) =>
      `SES has the account in ${region} in the state ${enforcement}, because of bounces or complaints.`,
    remedy:
      "See the reputation dashboard of the SES console, and the emails that fanmail lists as bounced and complained.",
  }),
  rule("ses-account", {
    code: "ses-account",
    area: "ses",
    level: "ok",
    when: (fact) => fact.isSending && !fact.isInSandbox && !isUnderReview(fact) && fact,
    say: ({ region }) => `SES may send from ${region}, to every address.`,
  }),
  rule("no-ses-region", {
    code: "ses-region-unknown",
    area: "ses",
    level: "skipped",
    when: (fact) => fact,
    say: "Doctor did not look at SES: neither a topic nor AWS_REGION names a region.",
  }),
];

const endpointRules = [
  rule("global-endpoint", {
    code: "global-endpoint-unheard",
    area: "ses",
    level: "fail",
    when: (fact) => fact.unheard.length > 0 && fact,
    say: ({ name, regions, unheard }) =>
      `The global endpoint ${name} sends from ${regions.join(" and ")}, and no topic in ${unheard.join(" or ")} is allow-listed: events about what is sent there never arrive.`,
    remedy: ({ regions }) =>
      `Run npx fanmail ses connect --regions ${regions.join(",")} --configuration-set <name> --https https://<host>/ingest/sns.`,
  }),
  rule("global-endpoint", {
    code: "global-endpoint",
    area: "ses",
    level: "ok",
    when: (fact) => fact.unheard.length === 0 && fact,
    say: ({ name, regions }) =>
      `The global endpoint ${name} sends from ${regions.join(" and ")}, and each has a topic.`,
  }),
];

type ConfigurationSetsFact = FactOf<"configuration-sets">;

const isWithoutDestination = ({ destinations, read, total }: ConfigurationSetsFact) =>
  destinations === 0 && read >= total;

const noDestination = {
  area: "ses",
  say: ({ region, configurationSet }: ConfigurationSetsFact) =>
    `${configurationSet === null ? `No configuration set in ${region}` : `No event destination of ${configurationSet}`} publishes to a topic that is allow-listed.`,
  remedy: ({ configurationSet }: ConfigurationSetsFact) =>
    `Run npx fanmail ses connect --configuration-set ${configurationSet ?? "<name>"} --https https://<host>/ingest/sns, and send with that configuration set.`,
} as const;

type DestinationFact = FactOf<"destination">;

const destinationName = ({ name, configurationSet }: DestinationFact) =>
  `The event destination ${name} of the configuration set ${configurationSet}`;
const missingTypes = ({ eventTypes }: DestinationFact) =>
  sesEventTypes.filter((type) => !eventTypes.includes(type));

/** `fanmail ses connect` also repairs the event destination that it made. */
function howToUpdate({ configurationSet, name }: DestinationFact): string {
  return name === eventDestinationName
    ? `run npx fanmail ses connect --configuration-set ${configurationSet} again`
    : `aws sesv2 update-configuration-set-event-destination --configuration-set-name ${configurationSet} --event-destination-name ${name} --event-destination …`;
}

const destinationRules = [
  rule("configuration-sets", {
    ...noDestination,
    code: "destination-none-but-heard",
    // Feedback notifications of identities, or another account, may publish there as well.
    level: "warn",
    when: (fact) => isWithoutDestination(fact) && fact.isHeard && fact,
  }),
  rule("configuration-sets", {
    ...noDestination,
    code: "destination-none",
    level: "fail",
    when: (fact) => isWithoutDestination(fact) && !fact.isHeard && fact,
  }),
  rule("configuration-sets", {
    code: "configuration-sets-unread",
    area: "ses",
    level: "warn",
    when: (fact) => fact.read !== fact.total && fact,
    say: ({ read, total, region }) =>
      `In the time given, ${read} of ${total} configuration sets in ${region} were looked at.`,
    remedy: "Name the one that you send with (--configuration-set <name>), or give it longer: --timeout 60.",
  }),
  rule("destination", {
    code: "destination-disabled",
    area: "ses",
    level: "fail",
    when: (fact) => !fact.isEnabled && fact,
    say: (fact) => `${destinationName(fact)} is disabled.`,
    remedy: (fact) => `Enable it: ${howToUpdate(fact)}.`,
  }),
  rule("destination", {
    code: "destination",
    area: "ses",
    level: "ok",
    when: (fact) => fact.isEnabled && missingTypes(fact).length === 0 && fact,
    say: (fact) => `${destinationName(fact)} publishes all events to ${nameOf(fact.topicArn)}.`,
  }),
  rule("destination", {
    code: "destination-incomplete",
    area: "ses",
    level: "warn",
    when: (fact) => fact.isEnabled && missingTypes(fact).length > 0 && fact,
    say: (fact) =>
      `${destinationName(fact)} leaves out ${missingTypes(fact).join(", ")}, so these never arrive.`,
    remedy: (fact) => `Add them to its MatchingEventTypes: ${howToUpdate(fact)}.`,
  }),
  rule("configuration-set", {
    code: "configuration-set-paused",
    area: "ses",
    level: "warn",
    when: (fact) => !fact.isSending && fact,
    say: ({ name }) => `Sending is paused for the configuration set ${name}.`,
    remedy: ({ name }) =>
      `aws sesv2 put-configuration-set-sending-options --configuration-set-name ${name} --sending-enabled.`,
  }),
];

export const sesRules = [...accountStatusRules, ...accountRules, ...endpointRules, ...destinationRules];
