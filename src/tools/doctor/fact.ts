import type { AwsFact } from "./facts-aws.ts";
import type { DatabaseFact } from "./facts-database.ts";
import type { OwnFact } from "./facts-own.ts";
import type { UnaskedFact, UnreadFact } from "./reading.ts";
import type { AccessFact } from "./readings-aws.ts";

/** What doctor has read about one thing. */
export type SystemFact = OwnFact | DatabaseFact | AccessFact | AwsFact | UnaskedFact | UnreadFact;

export type FactKind = SystemFact["kind"];
export type FactOf<Kind extends FactKind> = Extract<SystemFact, { kind: Kind }>;
