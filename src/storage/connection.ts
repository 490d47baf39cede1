import type { ClientBase } from "pg";

/*
 * All database connections are configured here, so that a session behaves the same whatever the defaults of the
 * server, database, role, URL or environment.
 */

/** How long a caller waits for a connection. A receiver must answer 503 well within SNS's 15 seconds. */
const connectTimeoutMs = 3_000;

/** Setting up a session takes a millisecond. A frozen server accepts connections and never answers. */
const setUpTimeoutMs = 3_000;

/**
 * Settings that the SQL and the driver's parsers rely on, and the service's own limits.
 * `default_transaction_read_only` is not pinned: an administrator who sets it means it.
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

/** Variables that the driver reads for a session, and prefers even to an empty value. */
const sessionVariables = [
  "PGOPTIONS",
  "PGAPPNAME",
  "PGCLIENT_ENCODING",
  "PGREPLICATION",
  "PGSSLNEGOTIATION",
  "PGBINARY",
];

/** TLS files: URL parameters and libpq's variables. */
const tlsFiles = { sslrootcert: "PGSSLROOTCERT", sslcert: "PGSSLCERT", sslkey: "PGSSLKEY" };

/** The driver settings in use. */
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
 * Settings for a driver pool. Host, port, user, password, database and TLS default to the environment's `PG*`
 * variables; variables that change a session are ignored.
 * @param searchPath schema of the tables; `null` leaves it to the caller, who adds it to the options, as BullMQ does.
 */
export function poolSettings(
  url: string,
  searchPath: string | null = "public",
  environment: NodeJS.ProcessEnv = process.env,
): PoolSettings {
  forgetSessionVariables(environment);
  const parsed = parseDatabaseUrl(url);
  const options = parsed.searchParams.get("options");
  // The driver would prefer the URL's options to those given beside it.
  parsed.searchParams.delete("options");
  useTlsOfLibpq(parsed.searchParams, environment);
  // A search path in the URL is deliberate; any other default is not meant for Fanmail.
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

/** Must run before any connection; the embedded database connects before there is a pool. */
export function forgetSessionVariables(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of sessionVariables) Reflect.deleteProperty(environment, name);
}

/** The URL class rejects a user without a host, which means a socket or the default host. */
function parseDatabaseUrl(url: string): URL {
  return new URL(url.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, "$1localhost"));
}

/** The driver's default verifies certificates in every mode. */
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
    // Uses Node's list of authorities; libpq then verifies the name as well.
    params.delete("sslrootcert");
    params.set("sslmode", "verify-full");
  }
  if (mode !== "no-verify") params.set("uselibpqcompat", "true");
}

/**
 * Pins the settings by statement, because poolers such as PgBouncer refuse them at connection start. In `transaction`
 * mode PgBouncer carries the time zone and date style over to each server connection.
 */
async function setUp(client: ClientBase, searchPath: string | null): Promise<void> {
  const settings = { ...pinned, ...(searchPath !== null && { search_path: searchPath }) };
  const values = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`);
  const query = {
    // Joined with pg_settings, so that settings unknown to a server version are skipped.
    text: `select set_config(name, value, false)
           from (values ${values.join(", ")}) as pinned(name, value) join pg_settings using (name)`,
    query_timeout: setUpTimeoutMs,
  };
  await client.query(query);
}
