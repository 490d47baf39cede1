import { SESv2Client } from "@aws-sdk/client-sesv2";
import { SNSClient } from "@aws-sdk/client-sns";
import { SQSClient } from "@aws-sdk/client-sqs";

/** How to reach AWS. The SDK finds credentials by itself: environment, profile, role. */
export type AwsSettings = {
  /** null: the region of the AWS profile. */
  region: string | null;
  /** null for AWS itself; otherwise an emulator, for all APIs. */
  endpointUrl: string | null;
};

export function sqsClient(settings: AwsSettings): SQSClient {
  // An emulator names queues with a host of its own choice; it is reached at `endpointUrl`.
  return new SQSClient({ ...connection(settings), useQueueUrlAsEndpoint: settings.endpointUrl === null });
}

function snsClient(settings: AwsSettings): SNSClient {
  return new SNSClient(connection(settings));
}

function sesClient(settings: AwsSettings): SESv2Client {
  return new SESv2Client(connection(settings));
}

/** For what `fanmail ses` sets up and `fanmail doctor` reads. */
export type AwsClients = { sqs: SQSClient; sns: SNSClient; ses: SESv2Client };

export function awsClients(settings: AwsSettings): AwsClients {
  return { sqs: sqsClient(settings), sns: snsClient(settings), ses: sesClient(settings) };
}

/** The region that the clients use: the given one, or that of the environment or AWS profile; null when none is set. */
export async function configuredRegion({ sns }: AwsClients): Promise<string | null> {
  try {
    return await sns.config.region();
  } catch {
    // The SDK only fails here when there is no region.
    return null;
  }
}

/** Whether the SDK finds credentials. They may still be refused. */
export async function hasCredentials({ sns }: AwsClients): Promise<boolean> {
  try {
    await sns.config.credentials();
    return true;
  } catch (error) {
    if (error instanceof Error && /^(Credentials|Token)ProviderError$/.test(error.name)) return false;
    throw error;
  }
}

/** Longer than the long polling of SQS, which takes up to 20 s. */
const answerMs = 30_000;

/** A request that gets no answer, as behind a firewall that dropped the connection, must fail like any other. */
const requestHandler = {
  connectionTimeout: 5_000,
  requestTimeout: answerMs,
  throwOnRequestTimeout: true,
  socketTimeout: answerMs,
};

function connection({ region, endpointUrl }: AwsSettings) {
  // The SDK warns about Node versions that later releases drop; package.json sets the version here.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  return {
    requestHandler,
    ...(region !== null && { region }),
    ...(endpointUrl !== null && { endpoint: endpointUrl }),
  };
}
