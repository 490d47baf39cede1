import { ApiError, type AwsState, arnOf, lets, type Operation, page } from "./aws-state.ts";

export const sesOperations: Record<string, Operation> = {
  "ses:ListConfigurationSets": ({ sets }, { NextToken }) => {
    const { rows, NextToken: next } = page([...sets.keys()], NextToken);
    return { ConfigurationSets: rows, NextToken: next };
  },
  "ses:CreateConfigurationSet": ({ sets }, { ConfigurationSetName }) => {
    if (sets.has(String(ConfigurationSetName)))
      throw new ApiError(400, "AlreadyExistsException", "It exists already.");
    sets.set(String(ConfigurationSetName), new Map());
    return {};
  },
  "ses:GetConfigurationSetEventDestinations": (state, { ConfigurationSetName }) => ({
    EventDestinations: [...setNamed(state, ConfigurationSetName)].map(([Name, one]) => ({ Name, ...one })),
  }),
  "ses:CreateConfigurationSetEventDestination": (state, input) => put(state, input, false),
  "ses:UpdateConfigurationSetEventDestination": (state, input) => put(state, input, true),
  "ses:DeleteConfigurationSetEventDestination": (state, input) => {
    const isThere = setNamed(state, input["ConfigurationSetName"]).delete(
      String(input["EventDestinationName"]),
    );
    if (!isThere) throw new ApiError(404, "NotFoundException", "No such event destination.");
    return {};
  },
};

function setNamed({ sets }: AwsState, name: unknown): Map<string, object> {
  const set = sets.get(String(name));
  if (set) return set;
  throw new ApiError(404, "NotFoundException", `Configuration set <${name}> does not exist.`);
}

/** SES publishes a test message, so the topic must exist and allow it. */
function put(state: AwsState, input: Record<string, unknown>, isThere: boolean): object {
  const set = setNamed(state, input["ConfigurationSetName"]);
  const name = String(input["EventDestinationName"]);
  if (set.has(name) !== isThere)
    throw isThere
      ? new ApiError(404, "NotFoundException", "No such event destination.")
      : new ApiError(400, "AlreadyExistsException", "It exists already.");
  const destination = input["EventDestination"] as { SnsDestination: { TopicArn: string } };
  const arn = destination.SnsDestination.TopicArn;
  const mayPublish = lets(state.topics.get(arn)?.attributes.get("Policy"), {
    service: "ses.amazonaws.com",
    action: "SNS:Publish",
    resource: arn,
    context: {
      "aws:sourceaccount": state.account,
      "aws:sourcearn": arnOf(state, "ses", `configuration-set/${input["ConfigurationSetName"]}`),
    },
  });
  if (!mayPublish) throw new ApiError(400, "BadRequestException", `Could not publish to SNS topic <${arn}>.`);
  set.set(name, destination);
  return {};
}
