import { testFaults, world } from "./faults.ts";
import { topic } from "./healthy-world.ts";

const theQueue = () => world.aws.account.queues["fanmail"]!;

testFaults([
  {
    code: "sqs-queue-missing",
    fault: "the queue does not exist",
    make() {
      world.aws.account.queues = {};
    },
    area: "sqs",
    what: /no such thing as the queue fanmail \(eu-west-1\): SQS in eu-west-1 does not know it/,
    remedy: /SQS_QUEUE_URLS/,
  },
  {
    code: "aws-denied",
    fault: "the queue may not be read",
    make: () => world.aws.account.denied.push("sqs:GetQueueAttributes"),
    area: "sqs",
    what: /AWS denies access to the queue fanmail \(eu-west-1\) \(sqs:GetQueueAttributes\)/,
    remedy: /Allow sqs:GetQueueAttributes/,
  },
  {
    code: "sqs-dead-letters",
    fault: "there are dead letters",
    make() {
      world.aws.account.queues["fanmail-dead"]!["ApproximateNumberOfMessages"] = "3";
    },
    area: "sqs",
    what: /3 messages are in the dead-letter queue of the queue fanmail/,
    remedy: /aws sqs start-message-move-task --source-arn arn:aws:sqs:eu-west-1:123456789012:fanmail-dead/,
  },
  {
    code: "sqs-dead-letters-none",
    fault: "there is no dead-letter queue",
    make() {
      delete theQueue()["RedrivePolicy"];
    },
    area: "sqs",
    what: /The queue fanmail .* has no dead-letter queue/,
    remedy: /aws sqs set-queue-attributes/,
  },
  {
    code: "sqs-policy-denies",
    fault: "the queue lets none of the topics send",
    make() {
      theQueue()["Policy"] = theQueue()["Policy"]!.replace(topic, `${topic}-other`);
    },
    area: "sqs",
    what: /policy of the queue fanmail .* lets none of the topics/,
    remedy: /sqs:SendMessage/,
  },
  {
    code: "sqs-retention",
    fault: "the queue keeps messages for a day",
    make() {
      theQueue()["MessageRetentionPeriod"] = "86400";
    },
    area: "sqs",
    what: /keeps messages for 24 hours only/,
    remedy: /MessageRetentionPeriod=1209600/,
  },
  {
    code: "sqs-backlog",
    fault: "the queue is not read",
    make() {
      theQueue()["ApproximateNumberOfMessages"] = "5000";
    },
    area: "sqs",
    what: /The queue fanmail .* has 5,000 messages waiting/,
    remedy: /fanmail worker/,
  },
]);
