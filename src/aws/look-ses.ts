import {
  GetAccountCommand,
  GetConfigurationSetCommand,
  GetConfigurationSetEventDestinationsCommand,
  type SESv2Client,
} from "@aws-sdk/client-sesv2";
import { LookError, looked } from "./failure.ts";
import { listConfigurationSets, listGlobalEndpoints } from "./lists.ts";

export type AccountLook = {
  isSending: boolean;
  isInSandbox: boolean;
  /** `HEALTHY`, `PROBATION`, `SHUTDOWN`; empty when AWS does not say. */
  enforcement: string;
};

/** @throws LookError */
export async function lookAtAccount(client: SESv2Client, signal: AbortSignal): Promise<AccountLook> {
  const answer = client.send(new GetAccountCommand({}), { abortSignal: signal });
  const account = await looked("ses:GetAccount", answer);
  return {
    isSending: account.SendingEnabled ?? true,
    isInSandbox: account.ProductionAccessEnabled === false,
    enforcement: account.EnforcementStatus ?? "",
  };
}

/** An event destination that publishes to a topic. */
export type DestinationLook = {
  configurationSet: string;
  name: string;
  isEnabled: boolean;
  eventTypes: string[];
  topicArn: string;
};

export type DestinationsLook = {
  destinations: DestinationLook[];
  /** Configuration sets that were looked at, and that there are. */
  looked: number;
  total: number;
};

/**
 * Looks through configuration sets, one after the other, because SES answers few such calls in a second. What has been
 * seen when `signal` aborts is the answer.
 * @param only the one to look at; null for all.
 * @throws LookError
 */
export async function lookAtDestinations(
  client: SESv2Client,
  only: string | null,
  signal: AbortSignal,
): Promise<DestinationsLook> {
  const names =
    only === null ? await looked("ses:ListConfigurationSets", listConfigurationSets(client)) : [only];
  const look: DestinationsLook = { destinations: [], looked: 0, total: names.length };
  for (const name of names) {
    if (signal.aborted) break;
    const found = await untilAborted(topicDestinations(client, name, signal), signal);
    if (found === null) break;
    look.destinations.push(...found);
    look.looked += 1;
  }
  return look;
}

/** Whether a configuration set sends. @throws LookError */
export async function isSetSending(client: SESv2Client, name: string, signal: AbortSignal): Promise<boolean> {
  const command = new GetConfigurationSetCommand({ ConfigurationSetName: name });
  const answer = client.send(command, { abortSignal: signal });
  return (await looked("ses:GetConfigurationSet", answer)).SendingOptions?.SendingEnabled ?? true;
}

async function untilAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer | null> {
  try {
    return await answer;
  } catch (error) {
    if (signal.aborted && error instanceof LookError) return null;
    throw error;
  }
}

async function topicDestinations(
  client: SESv2Client,
  configurationSet: string,
  signal: AbortSignal,
): Promise<DestinationLook[]> {
  const command = new GetConfigurationSetEventDestinationsCommand({ ConfigurationSetName: configurationSet });
  const answer = client.send(command, { abortSignal: signal });
  const { EventDestinations = [] } = await looked("ses:GetConfigurationSetEventDestinations", answer);
  return EventDestinations.flatMap(
    ({ Name = "", Enabled = false, MatchingEventTypes = [], SnsDestination }) =>
      SnsDestination?.TopicArn
        ? [
            {
              configurationSet,
              name: Name,
              isEnabled: Enabled,
              eventTypes: [...MatchingEventTypes],
              topicArn: SnsDestination.TopicArn,
            },
          ]
        : [],
  );
}

/** A global endpoint of SES: what is sent through it is split between its regions. */
export type GlobalEndpointLook = { name: string; regions: string[] };

/** The global endpoints of the account that send, or are about to, from the region asked. @throws LookError */
export async function lookAtGlobalEndpoints(client: SESv2Client): Promise<GlobalEndpointLook[]> {
  const endpoints = await looked("ses:ListMultiRegionEndpoints", listGlobalEndpoints(client));
  return endpoints
    .filter(({ Status }) => Status === "READY" || Status === "CREATING")
    .map(({ EndpointName = "", Regions = [] }) => ({ name: EndpointName, regions: [...Regions] }));
}
