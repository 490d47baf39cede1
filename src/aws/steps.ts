import type { EventDestination } from "@aws-sdk/client-sesv2";
import { type AwsPlace, placeOf, topicArn } from "../domain/ses-connection.ts";
import type { Call, Perform } from "./calls.ts";
import type { Attributes, Reader } from "./reader.ts";

/** What the steps have learnt. An ARN that is not known yet is the one that AWS would give. */
export type Known = {
  topicArn: string;
  /** Whether the topic was not there before. */
  isTopicNew: boolean;
  eventDestinations: EventDestination[];
  queue: { url: string; attributes: Attributes } | null;
  deadLetterArn: string | null;
  queueUrl: string | null;
  /** null: there is none yet. */
  subscriptionArn: string | null;
};

/** A call that is left to do, and what its answer makes known. */
export type Planned = Call & { gives?: "topicArn" | "queueUrl" | "subscriptionArn" };

/** No calls: it is as it shall be. */
export type Finding = { calls: Planned[]; learnt?: Partial<Known>; notes?: string[] };

export type Step = {
  /** What it sees to: `topic ses-events`. */
  subject: string;
  /** Finds out what is left to do; changes nothing. */
  look(reader: Reader, known: Known): Promise<Finding>;
};

export type Outcome = {
  subject: string;
  outcome: "unchanged" | "planned" | "done";
  calls: Call[];
  notes: string[];
};

/**
 * Takes step after step: looks, and makes the calls that are left.
 * @param perform null: nothing is changed, and what would be made counts as made.
 * @throws AwsCallError at the first call that fails; what was done before stays done.
 */
export async function carryOut(
  steps: readonly Step[],
  start: Known,
  reader: Reader,
  perform: Perform | null,
  onOutcome: (outcome: Outcome) => void,
): Promise<Known> {
  const known = { ...start };
  for (const { subject, look } of steps) {
    const { calls, learnt, notes = [] } = await look(reader, known);
    Object.assign(known, learnt);
    if (perform !== null) await makeAll(calls, known, perform);
    const outcome = calls.length === 0 ? "unchanged" : perform === null ? "planned" : "done";
    onOutcome({ subject, outcome, calls: calls.map(({ gives: _, ...call }) => call), notes });
  }
  return known;
}

async function makeAll(calls: readonly Planned[], known: Known, perform: Perform): Promise<void> {
  for (const { gives, ...call } of calls) {
    const made = await perform(call);
    if (gives !== undefined && made !== null) known[gives] = made;
  }
}

export function nothingKnown(place: AwsPlace, topic: string): Known {
  return {
    topicArn: topicArn(place, topic),
    isTopicNew: false,
    eventDestinations: [],
    queue: null,
    deadLetterArn: null,
    queueUrl: null,
    subscriptionArn: null,
  };
}

/** Finds the topic by name, and by any topic the account. */
export async function findTopic(reader: Reader, known: Known): Promise<{ arn: string; isThere: boolean }> {
  const name = known.topicArn.split(":").at(-1) ?? "";
  const arns = await reader.topics();
  const arn = arns.find((one) => one.split(":").at(-1) === name);
  if (arn !== undefined) return { arn, isThere: true };
  const [other] = arns;
  return { arn: other === undefined ? known.topicArn : topicArn(placeOf(other), name), isThere: false };
}
