import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Database } from "../storage/database.ts";
import type { Observation } from "./finding.ts";

/** What is looked at, and with what. */
export type Patient = {
  config: Config;
  clock: Clock;
  /** Reaches AWS, in the way of the service. */
  dispatcher: Dispatcher;
  /** Where the database is, or why that cannot be told. */
  database: { url: string } | { trouble: Observation };
  /** They open secrets of endpoints; null where none was made yet. */
  encryptionKeys: readonly Buffer[] | null;
  /** For each check. */
  timeoutMs: number;
  /** The configuration set to look at in SES; null for all. */
  configurationSet: string | null;
};

/** What is stored, or why it cannot be read now. */
export type Store = { db: Database } | { unreadable: string };
