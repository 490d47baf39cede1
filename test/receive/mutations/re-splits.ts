import type { Random } from "../../../bench/corpus/random.ts";
import { type Fields, type SnsSigner, testTopic } from "../../support/sns-signer.ts";
import { pickFrom } from "./mutation.ts";
import type { SignedMessages } from "./signed-messages.ts";

const strangersTopic = testTopic.replace("123456789012", "666666666666");
const time = "2026-11-20T12:00:00.000Z";

const splits = [
  ["Message", "MessageId", "Timestamp", "TopicArn", "Type"],
  ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
];

/**
 * A canonical re-split: the text under a genuine signature, cut into other fields. The message that was signed holds lines
 * that look like further fields; it is one of a stranger's topic, or of ours.
 */
export function reSplit(messages: SignedMessages, { certificateUrl }: SnsSigner, random: Random): Fields {
  const common = { SignatureVersion: "2", SigningCertURL: certificateUrl };
  const genuine: Fields = {
    Type: "Notification",
    MessageId: random.uuid(),
    TopicArn: pickFrom([strangersTopic, testTopic], random),
    Timestamp: time,
    ...(random.below(2) === 0 && {
      Subject: pickFrom(["Amazon SES", "Timestamp", `x\nTimestamp\n${time}`], random),
    }),
    Message: messageWithLines(random),
    ...common,
  };
  const { Signature } = messages.sign(genuine);
  return { ...cutAnew(signedText(genuine), pickFrom(splits, random), random), ...common, Signature };
}

/** A message, and the lines of other fields, in their order but for now and then. */
function messageWithLines(random: Random): string {
  const lines = [
    `MessageId\n${random.uuid()}`,
    pickFrom(["Subject\nAmazon SES", "Subject\n", "SubscribeURL\nhttps://evil.example/"], random),
    `Timestamp\n${time}`,
    ...(random.below(2) === 0 ? [`Token\n${random.hex(20)}`] : []),
    `TopicArn\n${testTopic}`,
    `Type\n${pickFrom(["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"], random)}`,
  ];
  const kept = lines.filter(() => random.below(8) > 0);
  const begin = pickFrom(['{"eventType":"Complaint"}\n', '{"eventType":"Complaint"}', ""], random);
  return [begin, ...(random.below(8) === 0 ? kept.toReversed() : kept)].join("\n");
}

function signedText(fields: Fields): string {
  const names = splits[1]?.filter((name) => name in fields) ?? [];
  return names.map((name) => `${name}\n${fields[name]}\n`).join("");
}

/** Each field begins at any of the places where its name is a line, behind the field before. */
function cutAnew(text: string, names: readonly string[], random: Random): Fields {
  const fields: Fields = {};
  let name = names[0] ?? "";
  let start = `${name}\n`.length;
  for (const next of names.slice(1)) {
    const places = [...text.matchAll(new RegExp(`\n${next}\n`, "g"))].map(({ index }) => index);
    const behind = places.filter((place) => place >= start);
    if (behind.length === 0) continue;
    const place = pickFrom(behind, random);
    fields[name] = text.slice(start, place);
    name = next;
    start = place + `\n${next}\n`.length;
  }
  return { ...fields, [name]: text.slice(start, -1) };
}
