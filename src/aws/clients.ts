import { SESv2Client } from "@aws-sdk/client-sesv2";
import { SNSClient } from "@aws-sdk/client-sns";
import { SQSClient } from "@aws-sdk/client-sqs";

/** How AWS is reached. Credentials come from where the AWS SDK finds them: environment, profile, role. */
export type AwsSettings = {
  /** null: the region of the AWS profile. */
  region: string | null;
  /** null: AWS itself. Else an emulator, for all of its APIs. */
  endpointUrl: string | null;
};

export function sqsClient(settings: AwsSettings): SQSClient {
  // An emulator names its queues by a host of its own choice, and is to be reached where we were told.
  return new SQSClient({ ...connection(settings), useQueueUrlAsEndpoint: settings.endpointUrl === null });
}

function snsClient(settings: AwsSettings): SNSClient {
  return new SNSClient(connection(settings));
}

function sesClient(settings: AwsSettings): SESv2Client {
  return new SESv2Client(connection(settings));
}

/** The clients of what `fanmail ses` sets up. */
export type AwsClients = { sqs: SQSClient; sns: SNSClient; ses: SESv2Client };

export function awsClients(settings: AwsSettings): AwsClients {
  return { sqs: sqsClient(settings), sns: snsClient(settings), ses: sesClient(settings) };
}

/** The region that the clients use: as told, else of the environment or the AWS profile; null when none is named. */
export async function configuredRegion({ sns }: AwsClients): Promise<string | null> {
  try {
    return await sns.config.region();
  } catch {
    // The SDK knows one reason to fail here.
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

/** Longer than SQS lets anybody wait for messages. */
const answerMs = 30_000;

/** An answer that never comes, as behind a firewall that has forgotten the connection, must end like any other failure. */
const requestHandler = {
  connectionTimeout: 5_000,
  requestTimeout: answerMs,
  throwOnRequestTimeout: true,
  socketTimeout: answerMs,
};

function connection({ region, endpointUrl }: AwsSettings) {
  // The SDK warns of Node versions that its later releases drop; ours is the one that package.json names.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  return {
    requestHandler,
    ...(region !== null && { region }),
    ...(endpointUrl !== null && { endpoint: endpointUrl }),
  };
}
