import { AwsCallError } from "../../aws/failure.ts";
import type { Reader } from "../../aws/reader.ts";
import { eventDestinationName, sesEventTypes } from "../../aws/ses-connection.ts";
import { awsTrouble } from "./aws-trouble.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { type DestinationFacts, type DestinationsFacts, readDestinations } from "./facts-aws.ts";
import { topicName } from "./topics.ts";

/** Whether the account sends to everybody, in a region. */
export async function lookAtSesAccount(ses: Reader, region: string): Promise<Observation[]> {
  try {
    const account = await ses.account();
    const enforcement = account.EnforcementStatus ?? "";
    const found = [
      ...(account.SendingEnabled !== false ? [] : [paused(region)]),
      ...(account.ProductionAccessEnabled === false ? [sandbox(region)] : []),
      ...(["", "HEALTHY"].includes(enforcement) ? [] : [underReview(region, enforcement)]),
    ];
    return found.length > 0 ? found : [ok(`SES may send from ${region}, to everybody.`)];
  } catch (error) {
    return [awsTrouble(`the SES account in ${region}`, error)];
  }
}

function paused(region: string): Observation {
  return warn(
    `Sending is paused for the SES account in ${region}, so that there are no events.`,
    "Find out why in the SES console; to go on: aws sesv2 put-account-sending-attributes --sending-enabled.",
  );
}

function sandbox(region: string): Observation {
  return warn(
    `The SES account is in the sandbox in ${region}: it sends to verified addresses alone.`,
    "Request production access on the account dashboard of the SES console.",
  );
}

function underReview(region: string, enforcement: string): Observation {
  return warn(
    `SES has the account in ${region} in the state ${enforcement}, because of bounces or complaints.`,
    "See the reputation dashboard of the SES console, and what fanmail shows as bounced and complained.",
  );
}

/** @property asked the regions whose SES is asked; those `heard` have a topic or queue that is allow-listed. */
export type ReachQuestion = { region: string; asked: readonly string[]; heard: ReadonlySet<string> };

/** Whether what is sent through a global endpoint is told of from each of its regions: topics stay regional. */
export async function lookAtReachOfEndpoints(
  ses: Reader,
  { region, asked, heard }: ReachQuestion,
): Promise<Observation[]> {
  try {
    // Each of its regions lists an endpoint; the first that is asked reports it.
    const endpoints = (await ses.globalEndpoints())
      .filter(({ Status }) => Status === "READY" || Status === "CREATING")
      .map(({ EndpointName = "", Regions = [] }) => ({ name: EndpointName, regions: [...Regions] }))
      .filter(({ regions }) => (asked.find((one) => regions.includes(one)) ?? region) === region);
    return endpoints.map(({ name, regions }) => {
      const silent = regions.filter((one) => !heard.has(one));
      return silent.length > 0 ? unheard(name, regions, silent) : endpointIsHeard(name, regions);
    });
  } catch (error) {
    // A region may be without global endpoints.
    const isNotThere = error instanceof AwsCallError && ["missing", "not-in-region"].includes(error.kind);
    return isNotThere ? [] : [awsTrouble(`global endpoints in ${region}`, error)];
  }
}

function unheard(name: string, regions: readonly string[], silent: readonly string[]): Observation {
  return fail(
    `The global endpoint ${name} sends from ${regions.join(" and ")}, and no topic in ${silent.join(" or ")} is allow-listed: events of what is sent there never come.`,
    `Run npx fanmail ses connect --regions ${regions.join(",")} --configuration-set <name> --https https://<host>/ingest/sns.`,
  );
}

function endpointIsHeard(name: string, regions: readonly string[]): Observation {
  return ok(`The global endpoint ${name} sends from ${regions.join(" and ")}, and each has a topic.`);
}

export type SesQuestion = {
  region: string;
  /** Those that are allow-listed in the region. */
  topicArns: readonly string[];
  /** null: look through all. */
  configurationSet: string | null;
  /** Whether something came from one of the topics lately, by whatever way. */
  isHeard: boolean;
};

/** Whether configuration sets publish what happens to topics that we listen to. */
export async function lookAtEventDestinations(
  ses: Reader,
  question: SesQuestion,
  signal: AbortSignal,
): Promise<Observation[]> {
  const { region, topicArns, configurationSet } = question;
  try {
    const look = await readDestinations(ses, configurationSet, signal);
    const ours = look.destinations.filter(({ topicArn }) => topicArns.includes(topicArn));
    const found = [...noDestination(look, ours, question), ...unfinished(look, region)];
    const seen = await Promise.all(ours.map((one) => lookAtDestination(ses, one)));
    return [...found, ...seen.flat()];
  } catch (error) {
    const subject =
      configurationSet === null ? "configuration sets" : `the configuration set ${configurationSet}`;
    return [awsTrouble(`${subject} in ${region}`, error)];
  }
}

function noDestination(
  look: DestinationsFacts,
  ours: readonly DestinationFacts[],
  { region, configurationSet, isHeard }: SesQuestion,
): Observation[] {
  if (ours.length > 0 || look.looked < look.total) return [];
  const whose =
    configurationSet === null
      ? `No configuration set in ${region}`
      : `No event destination of ${configurationSet}`;
  const what = `${whose} publishes to a topic that is allow-listed.`;
  const remedy = `Run npx fanmail ses connect --configuration-set ${configurationSet ?? "<name>"} --https https://<host>/ingest/sns, and send with that configuration set.`;
  // Feedback notifications of identities, or another account, may publish there as well.
  return [isHeard ? warn(what, remedy) : fail(what, remedy)];
}

function unfinished({ looked, total }: DestinationsFacts, region: string): Observation[] {
  if (looked === total) return [];
  return [
    warn(
      `In the time given, ${looked} of ${total} configuration sets in ${region} were looked at.`,
      "Name the one that you send with (--configuration-set <name>), or give it longer: --timeout 60.",
    ),
  ];
}

async function lookAtDestination(
  ses: Reader,
  { configurationSet, name, isEnabled, eventTypes, topicArn }: DestinationFacts,
): Promise<Observation[]> {
  const subject = `The event destination ${name} of the configuration set ${configurationSet}`;
  const sending = await lookAtSet(ses, configurationSet);
  if (!isEnabled) {
    return [fail(`${subject} is disabled.`, `Enable it: ${mend(configurationSet, name)}.`), ...sending];
  }
  const missing = sesEventTypes.filter((type) => !eventTypes.includes(type));
  if (missing.length === 0)
    return [ok(`${subject} publishes all events to ${topicName(topicArn)}.`), ...sending];
  return [
    warn(
      `${subject} leaves out ${missing.join(", ")}, so that these never come.`,
      `Add them to its MatchingEventTypes: ${mend(configurationSet, name)}.`,
    ),
    ...sending,
  ];
}

/** What `fanmail ses connect` has made it keeps up as well. */
function mend(configurationSet: string, name: string): string {
  return name === eventDestinationName
    ? `run npx fanmail ses connect --configuration-set ${configurationSet} again`
    : `aws sesv2 update-configuration-set-event-destination --configuration-set-name ${configurationSet} --event-destination-name ${name} --event-destination …`;
}

async function lookAtSet(ses: Reader, name: string): Promise<Observation[]> {
  try {
    if (await ses.isSending(name)) return [];
    return [
      warn(
        `Sending is paused for the configuration set ${name}.`,
        `aws sesv2 put-configuration-set-sending-options --configuration-set-name ${name} --sending-enabled.`,
      ),
    ];
  } catch (error) {
    return [awsTrouble(`the configuration set ${name}`, error)];
  }
}
