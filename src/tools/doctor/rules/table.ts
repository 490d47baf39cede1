import type { Finding } from "../finding.ts";
import { configurationRules } from "./configuration.ts";
import { databaseRules } from "./database.ts";
import { hostRules } from "./hosts.ts";
import { queueRules } from "./queue.ts";
import type { Rule, SystemFact } from "./rule.ts";
import { sesRules } from "./ses.ts";
import { sqsRules } from "./sqs.ts";
import { topicRules } from "./topics.ts";
import { unreadRules } from "./unread.ts";
import { webhookRules } from "./webhooks.ts";

/** Everything that doctor can report. */
export const rules: readonly Rule[] = [
  ...unreadRules,
  ...configurationRules,
  ...databaseRules,
  ...queueRules,
  ...hostRules,
  ...topicRules,
  ...sesRules,
  ...sqsRules,
  ...webhookRules,
];

/** Applies the rules to each fact. @returns findings in the order of the facts. */
export function judge(facts: readonly SystemFact[]): Finding[] {
  return facts.flatMap((fact) => rules.flatMap((rule) => rule.judge(fact)));
}
