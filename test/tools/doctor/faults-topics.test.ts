import { randomUUID } from "node:crypto";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { insertTopic, setSubscriptionState } from "../../../src/storage/topics.ts";
import { sql, testFaults, world } from "./faults.ts";
import { subscription, topic } from "./healthy-world.ts";

const ofTopic = () => world.aws.account.topics[topic]!;
const https = () => ofTopic().subscriptions[0]!;
const overQueue = () => ofTopic().subscriptions[1]!;

testFaults([
  {
    code: "topic-unconfirmed",
    fault: "the confirmation failed",
    writes: true,
    make: () => subscribed("confirmation_failed", "the answer was 403"),
    area: "topics",
    what: /ses-events \(eu-west-1\) could not be confirmed: the answer was 403/,
    remedy: /aws sns subscribe/,
  },
  {
    code: "topic-unsubscribed",
    fault: "Fanmail was unsubscribed",
    writes: true,
    make: () => subscribed("unsubscribed"),
    area: "topics",
    what: /Fanmail was unsubscribed from the topic ses-events/,
    remedy: /aws sns subscribe/,
  },
  {
    code: "topic-never-asked",
    fault: "a topic was never heard",
    writes: true,
    make: () =>
      insertTopic(world.database.db, { project_id: defaultProjectId, id: randomUUID(), arn: `${topic}-2` }),
    area: "topics",
    what: /ses-events-2 \(eu-west-1\) has not asked for a confirmation, and nothing has come/,
    remedy: /fanmail ses connect/,
  },
  {
    code: "topic-silent",
    fault: "a topic is silent",
    writes: true,
    make: () =>
      sql("update topics set last_notification_at = now() - interval '3 days', usual_gap_seconds = 3600"),
    area: "topics",
    what: /ses-events \(eu-west-1\) is silent: the last notification came 3 days ago/,
    remedy: /still send/,
  },
  {
    code: "aws-missing",
    fault: "the topic does not exist",
    make() {
      world.aws.account.topics = {};
    },
    area: "topics",
    what: /no such thing as the topic ses-events/,
    remedy: /name, account and region/,
  },
  {
    code: "aws-denied",
    fault: "the topic may not be read",
    make: () => world.aws.account.denied.push("sns:GetTopicAttributes"),
    area: "topics",
    what: /AWS denies access to the topic ses-events \(eu-west-1\) \(sns:GetTopicAttributes\)/,
    remedy: /Allow sns:GetTopicAttributes/,
  },
  {
    code: "topic-policy-denies",
    fault: "the topic lets SES of another account publish",
    make() {
      const { attributes } = ofTopic();
      attributes["Policy"] = attributes["Policy"]!.replace(
        '"AWS:SourceAccount":"123456789012"',
        '"AWS:SourceAccount":"999999999999"',
      );
    },
    area: "topics",
    what: /policy of the topic ses-events .* does not let SES publish/,
    remedy: /ses\.amazonaws\.com the action sns:Publish/,
  },
  {
    code: "topic-encrypted-by-aws",
    fault: "the topic is encrypted with a key that SES may not use",
    make() {
      ofTopic().attributes["KmsMasterKeyId"] = "alias/aws/sns";
    },
    area: "topics",
    what: /encrypted with alias\/aws\/sns/,
    remedy: /kms:GenerateDataKey/,
  },
  {
    code: "subscription-none",
    fault: "no subscription leads to Fanmail",
    make() {
      ofTopic().subscriptions = [{ ...https(), endpoint: "https://other.example.com/hook" }];
    },
    area: "topics",
    what: /No subscription .* leads to Fanmail; its subscriptions lead elsewhere: https other\.example\.com/,
    remedy: /fanmail ses connect/,
  },
  {
    code: "subscription-pending",
    fault: "the subscription waits for its confirmation",
    make() {
      https().arn = null;
    },
    area: "topics",
    what: /https fanmail\.example\.com to ses-events .* waits for its confirmation/,
    remedy: /aws sns subscribe once more/,
  },
  {
    code: "subscription-raw",
    fault: "raw delivery is on, and there is no token",
    make() {
      https().attributes["RawMessageDelivery"] = "true";
    },
    area: "topics",
    what: /raw message delivery on, and SNS_RAW_TOKEN is not set/,
    remedy: new RegExp(`--subscription-arn ${subscription} --attribute-name RawMessageDelivery`),
  },
  {
    code: "subscription-raw",
    fault: "raw delivery has another token",
    make() {
      https().attributes["RawMessageDelivery"] = "true";
      https().endpoint += `/raw/${"b".repeat(32)}`;
      world.configure({ SNS_RAW_TOKEN: "a".repeat(32) });
    },
    area: "topics",
    what: /its address does not contain the SNS_RAW_TOKEN of this service/,
    remedy: /RawMessageDelivery/,
  },
  {
    code: "subscription-raw-queue",
    fault: "raw delivery to the queue",
    make() {
      overQueue().attributes["RawMessageDelivery"] = "true";
    },
    area: "topics",
    what: /sqs fanmail .* raw message delivery on: messages carry no signature/,
    remedy: /RawMessageDelivery/,
  },
  {
    code: "subscription-filter",
    fault: "a filter policy",
    make() {
      https().attributes["FilterPolicy"] = '{"eventType":["Bounce"]}';
    },
    area: "topics",
    what: /has a filter policy, so some events never arrive/,
    remedy: /--attribute-name FilterPolicy/,
  },
  {
    code: "subscription-dead-letters",
    fault: "the subscription has no dead-letter queue",
    make() {
      delete https().attributes["RedrivePolicy"];
    },
    area: "topics",
    what: /has no dead-letter queue/,
    remedy: /RedrivePolicy/,
  },
  {
    code: "aws-unreachable",
    fault: "SNS never answers",
    make() {
      world.aws.account.unanswered.push("sns:GetTopicAttributes");
      world.patient = { ...world.patient, timeoutMs: 3_000 };
    },
    area: "topics",
    what: /AWS could not be reached to look at the topic ses-events \(eu-west-1\): no answer in time/,
    remedy: /network/,
  },
]);

async function subscribed(state: "confirmation_failed" | "unsubscribed", error: string | null = null) {
  const [row] = await world.database.db.query<{ id: string }>("select id from topics");
  await setSubscriptionState(world.database.db, { project_id: defaultProjectId, id: row!.id }, state, error);
}
