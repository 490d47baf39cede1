import type { EventDestination } from "@aws-sdk/client-sesv2";
import type { Attributes, Reader } from "../../aws/reader.ts";
import { type AwsPlace, parseArn, topicArn } from "../../domain/arn.ts";
import type { Call, Perform } from "./calls.ts";

/** What the steps know so far. An ARN that does not exist yet is the one that AWS would give. */
export type Known = {
  topicArn: string;
  /** Whether the topic did not exist before. */
  isTopicNew: boolean;
  eventDestinations: EventDestination[];
  queue: { url: string; attributes: Attributes } | null;
  deadLetterArn: string | null;
  queueUrl: string | null;
  /** null when there is none yet. */
  subscriptionArn: string | null;
};

/** A call that has to be made, and what its answer makes known. */
export type PlannedCall = Call & { gives?: "topicArn" | "queueUrl" | "subscriptionArn" };

/** What a step has to do. Without calls everything is as it should be. */
export type Plan = { calls: PlannedCall[]; learnt?: Partial<Known>; notes?: string[] };

export type Step = {
  /** What it sets up or removes: `topic ses-events`. */
  subject: string;
  /** Reads what is there; changes nothing. */
  plan(reader: Reader, known: Known): Promise<Plan>;
};

export type Outcome = {
  subject: string;
  outcome: "unchanged" | "planned" | "done";
  calls: Call[];
  notes: string[];
};

/**
 * Plans one step after the other, and makes the calls of its plan.
 * @param perform null: changes nothing, and treats what would be made as made.
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
  for (const { subject, plan } of steps) {
    const { calls, learnt, notes = [] } = await plan(reader, known);
    Object.assign(known, learnt);
    if (perform !== null) await makeAll(calls, known, perform);
    const outcome = calls.length === 0 ? "unchanged" : perform === null ? "planned" : "done";
    onOutcome({ subject, outcome, calls: calls.map(({ gives: _, ...call }) => call), notes });
  }
  return known;
}

async function makeAll(calls: readonly PlannedCall[], known: Known, perform: Perform): Promise<void> {
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

/** Finds the topic by its name; the ARN of any other topic tells the account. */
export async function findTopic(reader: Reader, known: Known): Promise<{ arn: string; isThere: boolean }> {
  const name = parseArn(known.topicArn).resource;
  const arns = await reader.topics();
  const arn = arns.find((one) => parseArn(one).resource === name);
  if (arn !== undefined) return { arn, isThere: true };
  const [other] = arns;
  return { arn: other === undefined ? known.topicArn : topicArn(parseArn(other), name), isThere: false };
}
