import type { Place } from "./place.ts";

/** What is needed to run the server of one place. */
export type ServerPlan = {
  place: Place;
  settings: Readonly<Record<string, string>>;
  log: (line: string) => void;
  /** Ends the attempts to get the server up. */
  signal: AbortSignal;
};
