/** The resources of one account in one region. */
export type AwsState = {
  endpoint: string;
  region: string;
  account: string;
  topics: Map<string, { attributes: Map<string, string>; tags: Record<string, string> }>;
  subscriptions: StubSubscription[];
  queues: Map<string, { attributes: Record<string, string>; tags: Record<string, string> }>;
  /** Configuration set → its event destinations by name. */
  sets: Map<string, Map<string, object>>;
  /** Called for a new https subscription, when SNS would send a confirmation. */
  onSubscribe: (subscription: StubSubscription) => Promise<void> | void;
  /** Called when a subscription's attributes are read. */
  onAsked: (subscription: StubSubscription) => void;
};

export type StubSubscription = {
  arn: string;
  topicArn: string;
  protocol: string;
  endpoint: string;
  isConfirmed: boolean;
  attributes: Record<string, string>;
};

export type Operation = (state: AwsState, input: Record<string, unknown>) => Promise<object> | object;

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function emptyState(): AwsState {
  return {
    endpoint: "",
    region: "eu-west-1",
    account: "210987654321",
    topics: new Map(),
    subscriptions: [],
    queues: new Map(),
    sets: new Map([["my-set", new Map()]]),
    onSubscribe: (subscription) => {
      subscription.isConfirmed = true;
    },
    onAsked: () => {},
  };
}

/** An ARN in the account and region of the state. */
export function arnOf({ region, account }: AwsState, service: string, resource: string): string {
  const partition = region.startsWith("eusc-") ? "aws-eusc" : "aws";
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}

/** Two at a time, so that clients must read several pages. */
export function page<T>(all: readonly T[], token: unknown): { rows: T[]; NextToken: string | undefined } {
  const from = Number(token ?? 0);
  return { rows: all.slice(from, from + 2), NextToken: from + 2 < all.length ? String(from + 2) : undefined };
}

type Condition = Record<string, Record<string, string>>;
type Statement = {
  Effect: string;
  Principal: { Service?: string };
  Action: string;
  Resource: string;
  Condition?: Condition;
};

/** Whether a policy allows a service an action on behalf of a source. */
export function lets(
  policy: string | undefined,
  wanted: { service: string; action: string; resource: string; context: Record<string, string> },
): boolean {
  const statements: Statement[] = policy === undefined ? [] : JSON.parse(policy).Statement;
  return statements.some(
    ({ Effect, Principal, Action, Resource, Condition = {} }) =>
      Effect === "Allow" &&
      Principal.Service === wanted.service &&
      Action.toLowerCase() === wanted.action.toLowerCase() &&
      Resource === wanted.resource &&
      Object.values(Condition)
        .flatMap((one) => Object.entries(one))
        .every(([name, value]) => wanted.context[name.toLowerCase()] === value),
  );
}
