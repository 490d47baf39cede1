import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/*
 * Answers what `fanmail doctor` reads from SES (REST-JSON), SNS (query, XML) and SQS (JSON 1.0), for an account that the
 * test describes. Source: AWS's API references.
 */

type StubSubscription = {
  /** null while it waits for its confirmation. */
  arn: string | null;
  protocol: string;
  endpoint: string;
  attributes: Record<string, string>;
};
type StubDestination = {
  Name: string;
  Enabled: boolean;
  MatchingEventTypes: string[];
  SnsDestination: { TopicArn: string };
};
export type StubAccount = {
  account: { SendingEnabled: boolean; ProductionAccessEnabled: boolean; EnforcementStatus: string };
  topics: Record<string, { attributes: Record<string, string>; subscriptions: StubSubscription[] }>;
  /** Global endpoints, in each of their regions. */
  globalEndpoints: { EndpointName: string; Status: string; Regions: string[] }[];
  configurationSets: Record<string, { isSending: boolean; destinations: StubDestination[] }>;
  /** By name. */
  queues: Record<string, Record<string, string>>;
  /** Actions that are not allowed, as `sns:GetTopicAttributes`. */
  denied: string[];
  /** Actions that get no answer; those about a configuration set are followed by its name. */
  unanswered: string[];
};

export type AwsLookStub = {
  url: string;
  account: StubAccount;
  /** Actions in the order of their calls. */
  called: string[];
  close(): Promise<void>;
};

type Answer = { status: number; type: string; body: string; headers?: Record<string, string> };

export async function awsLookStub(account: StubAccount): Promise<AwsLookStub> {
  const called: string[] = [];
  const server = createServer((request, response) => {
    void respond(stub, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stub: AwsLookStub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    account,
    called,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return stub;
}

async function respond(stub: AwsLookStub, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const chunk of request) text += chunk;
  const target = request.headers["x-amz-target"];
  const url = request.url ?? "";
  const answer = target
    ? sqs(stub, String(target).replace("AmazonSQS.", ""), JSON.parse(text))
    : url.startsWith("/v2/email/")
      ? ses(stub, url.slice("/v2/email/".length).split("?")[0] ?? "")
      : sns(stub, new URLSearchParams(text));
  if (answer === null) return;
  response.writeHead(answer.status, { "content-type": answer.type, ...answer.headers }).end(answer.body);
}

const sesLists: Record<string, string> = {
  account: "ses:GetAccount",
  "multi-region-endpoints": "ses:ListMultiRegionEndpoints",
  "list-configuration-sets": "ses:ListConfigurationSets",
};

function sesAction(kind: string, name: string, part: string | undefined): string {
  const list = sesLists[kind] ?? (name === "" ? "ses:ListConfigurationSets" : null);
  if (list !== null) return list;
  return part === undefined ? "ses:GetConfigurationSet" : "ses:GetConfigurationSetEventDestinations";
}

function ses({ account, called }: AwsLookStub, path: string): Answer | null {
  const [kind = "", name = "", part] = path.split("/").map(decodeURIComponent);
  const action = sesAction(kind, name, part);
  called.push(action);
  if (account.unanswered.includes(`${action} ${name}`)) return null;
  if (account.denied.includes(action)) return jsonError(403, "AccessDeniedException", "not authorized");
  if (action === "ses:GetAccount") return json(account.account);
  if (action === "ses:ListMultiRegionEndpoints")
    return json({ MultiRegionEndpoints: account.globalEndpoints });
  if (action === "ses:ListConfigurationSets")
    return json({ ConfigurationSets: Object.keys(account.configurationSets) });
  const found = account.configurationSets[name];
  if (!found) return jsonError(404, "NotFoundException", `Configuration set <${name}> does not exist.`);
  return part === undefined
    ? json({ ConfigurationSetName: name, SendingOptions: { SendingEnabled: found.isSending } })
    : json({ EventDestinations: found.destinations });
}

function sns({ account, called }: AwsLookStub, form: URLSearchParams): Answer | null {
  const name = form.get("Action") ?? "";
  called.push(`sns:${name}`);
  if (account.unanswered.includes(`sns:${name}`)) return null;
  if (account.denied.includes(`sns:${name}`)) return xmlError(403, "AuthorizationError", "not authorized");
  if (name === "GetSubscriptionAttributes") {
    const all = Object.values(account.topics).flatMap(({ subscriptions }) => subscriptions);
    const found = all.find(({ arn }) => arn === form.get("SubscriptionArn"));
    if (!found) return xmlError(404, "NotFound", "Subscription does not exist");
    return xml(name, attributes(found.attributes));
  }
  const topic = account.topics[form.get("TopicArn") ?? ""];
  if (!topic) return xmlError(404, "NotFound", "Topic does not exist");
  if (name === "GetTopicAttributes") return xml(name, attributes(topic.attributes));
  const members = topic.subscriptions.map(
    ({ arn, protocol, endpoint }) =>
      `<member><SubscriptionArn>${arn ?? "PendingConfirmation"}</SubscriptionArn><Protocol>${protocol}</Protocol>` +
      `<Endpoint>${escapeXml(endpoint)}</Endpoint><Owner>123456789012</Owner></member>`,
  );
  return xml(name, `<Subscriptions>${members.join("")}</Subscriptions>`);
}

function sqs(stub: AwsLookStub, name: string, input: Record<string, string>): Answer {
  stub.called.push(`sqs:${name}`);
  if (stub.account.denied.includes(`sqs:${name}`))
    return jsonError(403, "com.amazonaws.sqs#AccessDeniedException", "not authorized");
  const queue = input["QueueName"] ?? input["QueueUrl"]?.split("/").at(-1) ?? "";
  const found = stub.account.queues[queue];
  if (!found) {
    const answer = jsonError(
      400,
      "com.amazonaws.sqs#QueueDoesNotExist",
      "The specified queue does not exist.",
    );
    return {
      ...answer,
      headers: { "x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender" },
    };
  }
  return name === "GetQueueUrl"
    ? json({ QueueUrl: `${stub.url}/123456789012/${queue}` })
    : json({ Attributes: found });
}

function json(body: object): Answer {
  return { status: 200, type: "application/json", body: JSON.stringify(body) };
}

function jsonError(status: number, type: string, message: string): Answer {
  const headers = { "x-amzn-errortype": type };
  return { status, type: "application/json", body: JSON.stringify({ __type: type, message }), headers };
}

const namespace = 'xmlns="http://sns.amazonaws.com/doc/2010-03-31/"';

function xml(action: string, result: string): Answer {
  const body = `<${action}Response ${namespace}><${action}Result>${result}</${action}Result></${action}Response>`;
  return { status: 200, type: "text/xml", body };
}

function xmlError(status: number, code: string, message: string): Answer {
  const body = `<ErrorResponse ${namespace}><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`;
  return { status, type: "text/xml", body };
}

function attributes(values: Record<string, string>): string {
  const entries = Object.entries(values).map(
    ([key, value]) => `<entry><key>${key}</key><value>${escapeXml(value)}</value></entry>`,
  );
  return `<Attributes>${entries.join("")}</Attributes>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
