import type { ClientBase } from "pg";

/*
 * Every connection to the database is made from here, so that a session behaves the same whatever the server, the
 * database, the role, the URL or the environment have as defaults.
 */

/** How long a caller waits for a connection. A receiver must answer 503 well within SNS's 15 seconds. */
const connectTimeoutMs = 3_000;

/** Setting up a session takes a millisecond. A server that is frozen takes connections, and never answers. */
const setUpTimeoutMs = 3_000;

/**
 * What SQL and the driver's parsers rely on, and limits that are ours alone. `default_transaction_read_only` is left as
 * it is: an administrator who sets it means it.
 */
const pinned: Readonly<Record<string, string>> = {
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  array_nulls: "on",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  transform_null_equals: "off",
  default_transaction_isolation: "read committed",
  default_transaction_deferrable: "off",
  statement_timeout: "60s",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "60s",
  idle_session_timeout: "0",
  transaction_timeout: "0",
};

/** Variables that the driver would read for a session, and would even prefer to an empty value of ours. */
const sessionVariables = [
  "PGOPTIONS",
  "PGAPPNAME",
  "PGCLIENT_ENCODING",
  "PGREPLICATION",
  "PGSSLNEGOTIATION",
  "PGBINARY",
];

/** Files for TLS: their names in a URL, and libpq's variables. */
const tlsFiles = { sslrootcert: "PGSSLROOTCERT", sslcert: "PGSSLCERT", sslkey: "PGSSLKEY" };

/** The part of the driver's settings for a pool that is used. */
export type PoolSettings = {
  application_name: string;
  connectionString: string;
  options?: string;
  connectionTimeoutMillis: number;
  keepAlive: boolean;
  keepAliveInitialDelayMillis: number;
  onConnect(client: ClientBase): Promise<void>;
};

/**
 * Settings for a pool of the driver. What the URL leaves out of host, port, user, password, database and TLS comes from
 * the environment's `PG*` variables; variables that change a session are ignored.
 * @param searchPath where tables are found; `null` leaves it to whoever adds it to the options, as BullMQ does.
 */
export function poolSettings(
  url: string,
  searchPath: string | null = "public",
  environment: NodeJS.ProcessEnv = process.env,
): PoolSettings {
  forgetSessionVariables(environment);
  const parsed = parseUrl(url);
  const options = parsed.searchParams.get("options");
  // The driver would let options of the URL take the place of those that are given beside it.
  parsed.searchParams.delete("options");
  useTlsOfLibpq(parsed.searchParams, environment);
  // Who names a search path in the URL has tables of Fanmail there; any other default is nobody's decision about them.
  const path = /\bsearch_path\s*=/.test(options ?? "") ? null : searchPath;
  return {
    application_name: "fanmail",
    connectionString: parsed.href,
    ...(options && { options }),
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    onConnect: (client) => setUp(client, path),
  };
}

/** Must come before any connection; the embedded database has one before there is a pool. */
export function forgetSessionVariables(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of sessionVariables) Reflect.deleteProperty(environment, name);
}

/** WHATWG's URL does not take a user without a host, which means a socket or the default host. */
function parseUrl(url: string): URL {
  return new URL(url.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, "$1localhost"));
}

/** By default the driver verifies certificates in every mode. */
function useTlsOfLibpq(params: URLSearchParams, environment: NodeJS.ProcessEnv): void {
  if (params.has("ssl")) return;
  const given = params.get("sslmode") ?? environment["PGSSLMODE"] ?? "";
  // libpq would try without TLS first.
  const mode = given === "allow" ? "disable" : given;
  if (mode === "") return;
  for (const [name, variable] of Object.entries(tlsFiles)) {
    const file = params.get(name) ?? environment[variable];
    if (mode === "disable" || !file) params.delete(name);
    else params.set(name, file);
  }
  params.set("sslmode", mode);
  if (params.get("sslrootcert") === "system") {
    // Node's own list of authorities; libpq verifies the name as well then.
    params.delete("sslrootcert");
    params.set("sslmode", "verify-full");
  }
  if (mode !== "no-verify") params.set("uselibpqcompat", "true");
}

/**
 * Pins the settings by statement, because a pooler such as PgBouncer refuses them at the start of a connection. In its
 * mode `transaction` it carries over the time zone and the style of dates to whichever connection it uses.
 */
async function setUp(client: ClientBase, searchPath: string | null): Promise<void> {
  const settings = { ...pinned, ...(searchPath !== null && { search_path: searchPath }) };
  const values = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`);
  const query = {
    // By way of pg_settings, so that what a version does not know is left out.
    text: `select set_config(name, value, false)
           from (values ${values.join(", ")}) as pinned(name, value) join pg_settings using (name)`,
    query_timeout: setUpTimeoutMs,
  };
  await client.query(query);
}
