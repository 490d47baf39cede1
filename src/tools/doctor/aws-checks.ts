import type { AwsClients } from "../../aws/clients.ts";
import { awsReader } from "../../aws/reader.ts";
import { parseArn, queueOf } from "../../domain/arn.ts";
import { snsHost } from "../../domain/mail/sns-message.ts";
import { credentialsRemedy } from "./aws-trouble.ts";
import { lookAtCertificateHost } from "./certificate.ts";
import { type Area, type Check, fail, type Observation, ok, type Patient, skipped } from "./check.ts";
import { compareWithAws } from "./clock.ts";
import { type Stored, topicArns } from "./own-checks.ts";
import { type HostAnswer, probeHost } from "./probe-host.ts";
import { lookAtEventDestinations, lookAtReachOfEndpoints, lookAtSesAccount } from "./ses.ts";
import { lookAtSqs } from "./sqs.ts";
import { lookAtTopicInAws } from "./topics-at-aws.ts";

type ClientsOf = (region: string) => AwsClients;

const recentMs = 7 * 86_400_000;

/**
 * Checks of what is in AWS, or on the way there.
 * @param noCredentials why AWS cannot be asked; null when it can.
 */
export function awsChecks(
  patient: Patient,
  stored: Stored,
  noCredentials: string | null,
  clientsOf: ClientsOf,
): Check[] {
  const arns = topicArns(patient, stored);
  const asked =
    noCredentials === null
      ? [
          ...topicChecks(patient, arns, clientsOf),
          ...sesChecks(patient, stored, arns, clientsOf),
          ...queueChecks(patient, arns, clientsOf),
        ]
      : unasked(patient, noCredentials);
  return [...hostChecks(patient, arns), ...asked];
}

function unasked({ config }: Patient, why: string): Check[] {
  const told = (area: Area, what: string) => plain(area, skipped(`${what}: ${why}.`, credentialsRemedy));
  return [
    told("topics", "Doctor did not look at topics, policies and subscriptions in AWS"),
    told("ses", "Doctor did not look at configuration sets and event destinations"),
    config.sqsQueueUrls.length === 0
      ? plain("sqs", ok("No queue is configured."))
      : plain(
          "sqs",
          fail(`SQS_QUEUE_URLS is set, and its queues cannot be read: ${why}.`, credentialsRemedy),
        ),
  ];
}

function plain(area: Area, seen: Observation): Check {
  return { area, subject: area, look: () => [seen] };
}

/** The hosts are asked once, for two checks. */
function hostChecks({ config, clock, dispatcher, timeoutMs }: Patient, arns: string[]): Check[] {
  const hosts = [...new Set(arns.map(snsHost))];
  if (hosts.length === 0) {
    const seen = skipped("Doctor asked no host of AWS: no topic tells which one signs.");
    return [plain("certificate", seen), plain("clock", compareWithAws([])[0] ?? seen)];
  }
  const localUrls = [...config.localCertificates.keys()];
  const answers = hosts.map((host) => probeHost(host, dispatcher, clock.now, timeoutMs * 0.8));
  const certificateChecks = answers.map(
    (answer, index): Check => ({
      area: "certificate",
      subject: hosts[index] ?? "",
      look: async () => lookAtCertificateHost(await answer, localUrls),
    }),
  );
  return [
    ...certificateChecks,
    { area: "clock", subject: "the clock of AWS", look: async () => compareWithAws(await all(answers)) },
  ];
}

function all(answers: Promise<HostAnswer>[]): Promise<HostAnswer[]> {
  return Promise.all(answers);
}

function topicChecks({ config, configurationSet }: Patient, arns: string[], clientsOf: ClientsOf): Check[] {
  return arns.map((arn) => ({
    area: "topics",
    subject: `the topic ${arn} in AWS`,
    look: (signal) =>
      lookAtTopicInAws(awsReader(clientsOf(regionOf(arn)), signal), arn, { ...config, configurationSet }),
  }));
}

function sesChecks(patient: Patient, stored: Stored, arns: string[], clientsOf: ClientsOf): Check[] {
  const { config, configurationSet } = patient;
  const regions = [...new Set(arns.map(regionOf))];
  if (regions.length === 0 && config.awsRegion !== null) regions.push(config.awsRegion);
  if (regions.length === 0) {
    return [
      plain("ses", skipped("Doctor did not look at SES: neither a topic nor AWS_REGION tells a region.")),
    ];
  }
  const queueRegions = config.sqsQueueUrls.map((url) => queueOf(url, config.awsRegion).region);
  const heard = new Set([...arns.map(regionOf), ...queueRegions]);
  return regions.flatMap((region): Check[] => {
    const clients = clientsOf(region);
    const ours = arns.filter((arn) => regionOf(arn) === region);
    const question = { region, topicArns: ours, configurationSet, isHeard: isHeard(patient, stored, ours) };
    return [
      {
        area: "ses",
        subject: `the SES account in ${region}`,
        look: (signal) => lookAtSesAccount(awsReader(clients, signal), region),
      },
      {
        area: "ses",
        subject: `the global endpoints in ${region}`,
        look: () => lookAtReachOfEndpoints(awsReader(clients), { region, asked: regions, heard }),
      },
      {
        area: "ses",
        subject: `the configuration sets in ${region}`,
        look: (signal) => lookAtEventDestinations(awsReader(clients, signal), question, signal),
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

function queueChecks({ config }: Patient, arns: string[], clientsOf: ClientsOf): Check[] {
  if (config.sqsQueueUrls.length === 0) return [plain("sqs", ok("No queue is configured."))];
  return config.sqsQueueUrls.map((url) => {
    const question = { url, ...queueOf(url, config.awsRegion), topicArns: arns };
    return {
      area: "sqs",
      subject: `the queue ${question.arn}`,
      look: (signal) => lookAtSqs(awsReader(clientsOf(question.region), signal), question),
    };
  });
}

function regionOf(arn: string): string {
  return parseArn(arn).region;
}
