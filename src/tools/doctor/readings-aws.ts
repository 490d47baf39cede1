import { type AwsClients, awsClients, hasCredentials } from "../../aws/clients.ts";
import { awsReader } from "../../aws/reader.ts";
import { parseArn, queueOf } from "../../domain/arn.ts";
import { snsHost } from "../../domain/mail/sns-message.ts";
import { dayMs } from "../../domain/time-text.ts";
import { errorText } from "../../logger.ts";
import {
  type AwsFact,
  accountFacts,
  globalEndpointFacts,
  publisherFacts,
  sqsQueueFacts,
  topicFacts,
} from "./facts-aws.ts";
import { type ClockFact, clockFact, type Stored, topicArns } from "./facts-database.ts";
import type { Area } from "./finding.ts";
import type { Patient } from "./patient.ts";
import { type HostAnswer, probeHost } from "./probe-host.ts";
import { type Reading, withinDeadline } from "./reading.ts";

/** How AWS can be reached: its hosts, its clock, credentials. */
export type AccessFact =
  | { kind: "no-host" }
  | ({ kind: "host"; hasLocalCertificate: boolean } & HostAnswer)
  | ClockFact
  | { kind: "no-clock-of-aws" }
  /** AWS cannot be asked. @property reason why there are no credentials. */
  | { kind: "no-credentials"; area: Area; subject: string; reason: string }
  | { kind: "no-credentials-for-sqs"; reason: string }
  | { kind: "no-sqs-queue" }
  | { kind: "no-ses-region" };

type ClientsOf = (region: string) => AwsClients;
type AwsReading = Reading<AwsFact | AccessFact>;

/** The most that finding credentials may take: outside AWS the SDK waits for a metadata service that does not exist. */
const credentialsMs = 2_000;
const recentMs = 7 * dayMs;

/**
 * What is in AWS, and how it can be reached.
 * @param noCredentials why AWS cannot be asked; null when it can.
 */
export function awsReadings(
  patient: Patient,
  stored: Stored,
  noCredentials: string | null,
  clientsOf: ClientsOf,
): AwsReading[] {
  const arns = topicArns(patient, stored);
  const asked =
    noCredentials === null
      ? [
          ...topicReadings(patient, arns, clientsOf),
          ...sesReadings(patient, stored, arns, clientsOf),
          ...sqsReadings(patient, arns, clientsOf),
        ]
      : unasked(patient, noCredentials);
  return [...hostReadings(patient, arns), ...asked];
}

/** @returns why AWS cannot be asked; null when there are credentials. */
export async function findCredentials({ config, timeoutMs }: Patient): Promise<string | null> {
  const settings = { region: config.awsRegion ?? "us-east-1", endpointUrl: config.awsEndpointUrl };
  const clients = awsClients(settings);
  try {
    const isFound = await withinDeadline(() => hasCredentials(clients), Math.min(credentialsMs, timeoutMs));
    return isFound ? null : "there are no AWS credentials";
  } catch (error) {
    return `AWS credentials cannot be had: ${errorText(error)}`;
  } finally {
    for (const client of Object.values(clients)) client.destroy();
  }
}

function unasked({ config }: Patient, reason: string): AwsReading[] {
  const withoutCredentials = (area: Area, subject: string) =>
    known(area, { kind: "no-credentials", area, subject, reason });
  return [
    withoutCredentials("topics", "topics, policies and subscriptions in AWS"),
    withoutCredentials("ses", "configuration sets and event destinations"),
    known(
      "sqs",
      config.sqsQueueUrls.length === 0
        ? { kind: "no-sqs-queue" }
        : { kind: "no-credentials-for-sqs", reason },
    ),
  ];
}

function known(area: Area, fact: AccessFact): AwsReading {
  return { area, subject: area, read: () => [fact] };
}

/** Each host is asked once, for two readings. */
function hostReadings({ config, clock, dispatcher, timeoutMs }: Patient, arns: string[]): AwsReading[] {
  const hosts = [...new Set(arns.map(snsHost))];
  if (hosts.length === 0)
    return [known("certificate", { kind: "no-host" }), known("clock", { kind: "no-clock-of-aws" })];
  const localHosts = [...config.localCertificates.keys()].map((url) => new URL(url).host);
  const answers = hosts.map((host) => probeHost(host, dispatcher, clock.now, timeoutMs * 0.8));
  const certificates = answers.map((answer, index): AwsReading => {
    const host = hosts[index] ?? "";
    const hasLocalCertificate = localHosts.includes(host);
    const read = async (): Promise<AccessFact[]> => [
      { kind: "host", hasLocalCertificate, ...(await answer) },
    ];
    return { area: "certificate", subject: host, read };
  });
  const readClock = async () => [clockOfAws(await Promise.all(answers))];
  return [...certificates, { area: "clock", subject: "the clock of AWS", read: readClock }];
}

/** The header `Date` of AWS is in whole seconds. */
function clockOfAws(answers: readonly HostAnswer[]): AccessFact {
  for (const { host, outcome } of answers) {
    if (outcome.kind !== "answered" || outcome.date === null) continue;
    return clockFact(`that of ${host}`, outcome.date.getTime() + 500, 500, outcome);
  }
  return { kind: "no-clock-of-aws" };
}

function topicReadings(patient: Patient, arns: string[], clientsOf: ClientsOf): AwsReading[] {
  return arns.map((arn) => ({
    area: "topics",
    subject: `the topic ${arn} in AWS`,
    read: (signal) => topicFacts(awsReader(clientsOf(regionIn(arn)), signal), arn, patient),
  }));
}

function sesReadings(patient: Patient, stored: Stored, arns: string[], clientsOf: ClientsOf): AwsReading[] {
  const { config, configurationSet } = patient;
  const regions = [...new Set(arns.map(regionIn))];
  if (regions.length === 0 && config.awsRegion !== null) regions.push(config.awsRegion);
  if (regions.length === 0) return [known("ses", { kind: "no-ses-region" })];
  const queueRegions = config.sqsQueueUrls.map((url) => queueOf(url, config.awsRegion).region);
  const heard = new Set([...arns.map(regionIn), ...queueRegions]);
  return regions.flatMap((region): AwsReading[] => {
    const clients = clientsOf(region);
    const ours = arns.filter((arn) => regionIn(arn) === region);
    const question = { region, topicArns: ours, configurationSet, isHeard: isHeard(patient, stored, ours) };
    return [
      {
        area: "ses",
        subject: `the SES account in ${region}`,
        read: (signal) => accountFacts(awsReader(clients, signal), region),
      },
      {
        area: "ses",
        subject: `the global endpoints in ${region}`,
        read: () => globalEndpointFacts(awsReader(clients), { region, asked: regions, heard }),
      },
      {
        area: "ses",
        subject: `the configuration sets in ${region}`,
        read: (signal) => publisherFacts(awsReader(clients, signal), question, signal),
      },
    ];
  });
}

function isHeard({ clock }: Patient, { topics }: Stored, arns: string[]): boolean {
  if (topics instanceof Error) return false;
  const sinceMs = clock.now().getTime() - recentMs;
  return topics.some(
    ({ arn, last_notification_at: last }) => arns.includes(arn) && last !== null && last.getTime() > sinceMs,
  );
}

function sqsReadings({ config }: Patient, arns: string[], clientsOf: ClientsOf): AwsReading[] {
  if (config.sqsQueueUrls.length === 0) return [known("sqs", { kind: "no-sqs-queue" })];
  return config.sqsQueueUrls.map((url) => {
    const question = { url, ...queueOf(url, config.awsRegion), topicArns: arns };
    return {
      area: "sqs",
      subject: `the queue ${question.arn}`,
      read: (signal) => sqsQueueFacts(awsReader(clientsOf(question.region), signal), question),
    };
  });
}

function regionIn(arn: string): string {
  return parseArn(arn).region;
}
