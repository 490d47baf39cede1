import type { Random } from "../../bench/corpus/random.ts";
import type { Sink } from "../load/sink.ts";
import type { Role } from "../stage/service.ts";
import type { Stage, StagedService } from "../stage/stage.ts";

/** A fault that has begun. */
export type BegunFault = {
  /** What it concerns, for people. */
  target: string;
  end(): Promise<void>;
};

/** A kind of fault. */
export type Fault = {
  name: string;
  /** How often it is chosen, compared with others. */
  weight: number;
  /** What it needs to itself: two faults that share one never overlap. */
  needs(pick: Picked): string;
  /** Absent: a process of any role. */
  role?: Role;
  /** Whether a webhook that arrived may be posted again because of it. */
  losesOutcomes: boolean;
  seconds: { least: number; most: number };
  isPossible(stage: Stage): boolean;
  begin(parts: FaultParts, pick: Picked): Promise<BegunFault>;
};

export type FaultParts = { stage: Stage; sink: Sink; random: Random };
/** Whom a fault concerns, if it concerns a process. */
export type Picked = { service: StagedService };
