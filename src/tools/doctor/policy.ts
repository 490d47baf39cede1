import { z } from "zod";
import { jsonOrNull } from "../../domain/json.ts";

const OneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const Principal = z.union([z.literal("*"), z.record(z.string(), OneOrMore)]);
const Values = z
  .union([z.string(), z.boolean(), z.number(), z.array(z.union([z.string(), z.boolean(), z.number()]))])
  .transform((value) => [value].flat().map(String));
const JudgedStatement = z.looseObject({
  Effect: z.enum(["Allow", "Deny"]),
  Principal: Principal.optional(),
  Action: OneOrMore.optional(),
  Resource: OneOrMore.optional(),
  Condition: z.record(z.string(), z.record(z.string(), Values)).default({}),
});
const JudgedPolicy = z.looseObject({
  Statement: z.union([z.array(JudgedStatement), JudgedStatement.transform((one) => [one])]),
});
type JudgedStatement = z.infer<typeof JudgedStatement>;

/** What a service wants to do with a topic or queue. */
export type PolicyRequest = {
  service: string;
  action: string;
  resource: string;
  /** The account that the service acts for. */
  account: string;
  /** Whether a pattern of `aws:SourceArn` matches the service's source. */
  isSource: (pattern: string) => boolean;
};

/** `unsure`: it depends on conditions that only AWS can judge. */
export type Permission = "allowed" | "denied" | "unsure";

/**
 * Judges a resource policy as far as its text allows. A Deny with conditions is ignored: the usual ones (TLS, another
 * organisation) do not affect services of AWS.
 */
export function judgePolicy(text: string, request: PolicyRequest): Permission {
  const policy = JudgedPolicy.safeParse(jsonOrNull(text));
  if (!policy.success) return text === "" ? "denied" : "unsure";
  const concerning = policy.data.Statement.filter((statement) => concerns(statement, request));
  const isRefused = concerning.some(
    ({ Effect, Condition }) => Effect === "Deny" && Object.keys(Condition).length === 0,
  );
  if (isRefused) return "denied";
  const grants = concerning
    .filter(({ Effect }) => Effect === "Allow")
    .map((one) => conditionsOf(one, request));
  return grants.includes("allowed") ? "allowed" : grants.includes("unsure") ? "unsure" : "denied";
}

/** Whether a pattern of a policy, with `*` and `?`, matches a text. */
export function covers(pattern: string, text: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(text);
}

function concerns({ Principal, Action, Resource }: JudgedStatement, request: PolicyRequest): boolean {
  const action = request.action.toLowerCase();
  return (
    isMeant(Principal, request.service) &&
    (Action ?? []).some((pattern) => covers(pattern.toLowerCase(), action)) &&
    (Resource ?? ["*"]).some((pattern) => covers(pattern, request.resource))
  );
}

function isMeant(principal: JudgedStatement["Principal"], service: string): boolean {
  if (principal === undefined) return false;
  if (principal === "*") return true;
  return (principal["AWS"] ?? []).includes("*") || (principal["Service"] ?? []).includes(service);
}

function conditionsOf({ Condition }: JudgedStatement, request: PolicyRequest): Permission {
  const verdicts = Object.entries(Condition).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, values]) => conditionOf(operator, key.toLowerCase(), values, request)),
  );
  if (verdicts.includes("denied")) return "denied";
  return verdicts.includes("unsure") ? "unsure" : "allowed";
}

function conditionOf(
  operator: string,
  key: string,
  values: string[],
  { account, isSource }: PolicyRequest,
): Permission {
  if (!/^(String|Arn)(Equals|Like)(IgnoreCase|IfExists)?$/.test(operator)) return "unsure";
  switch (key) {
    case "aws:sourceaccount":
    case "aws:sourceowner":
      return values.some((pattern) => covers(pattern, account)) ? "allowed" : "denied";
    case "aws:sourcearn":
      return values.some(isSource) ? "allowed" : "denied";
    default:
      return "unsure";
  }
}
