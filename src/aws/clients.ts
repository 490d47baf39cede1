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

export function snsClient(settings: AwsSettings): SNSClient {
  return new SNSClient(connection(settings));
}

export function sesClient(settings: AwsSettings): SESv2Client {
  return new SESv2Client(connection(settings));
}

function connection({ region, endpointUrl }: AwsSettings): { region?: string; endpoint?: string } {
  return { ...(region !== null && { region }), ...(endpointUrl !== null && { endpoint: endpointUrl }) };
}
