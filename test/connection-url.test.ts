import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "../src/config.ts";

/** What is said of one variable; null when it is accepted. */
function problem(variable: string, value: string): string | null {
  const key = Buffer.alloc(32).toString("base64");
  try {
    readConfig({ ENCRYPTION_KEY: key, [variable]: value });
    return null;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

describe("a password with a raw delimiter is refused, and not told", () => {
  const urls: [string, string][] = [
    ["DATABASE_URL", "postgres://ann:pa#ss@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:pa/ss@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:pa?ss@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:pass%@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:12#ss@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:12/ss@host/fanmail"],
    ["DATABASE_URL", "postgres://ann:12?ss@host/fanmail"],
    ["REDIS_URL", "redis://:pa#ss@host:6379"],
    ["REDIS_URL", "redis://:pa/ss@host:6379"],
    ["REDIS_URL", "redis://ann:pass%zz@host:6379"],
    ["REDIS_URL", "rediss://:12/ss@host:6379"],
  ];
  test.each(urls)("%s %s", (variable, url) => {
    const said = problem(variable, url);
    expect(said).toContain(`${variable} cannot be read: percent-encode`);
    expect(said).not.toContain(url.slice(url.indexOf("//") + 2, url.indexOf("host")));
  });
});

test.each([
  "postgres://one,two/fanmail",
  "postgres://ann:secret@one:5432,two:5433/fanmail?target_session_attrs=read-write",
  "postgres:///fanmail?host=one,two",
])("several hosts are refused: %s", (url) => {
  expect(problem("DATABASE_URL", url)).toContain("DATABASE_URL names several hosts");
});

test.each([
  "postgres://ann:p%40%23%2Fss@host/fanmail",
  "postgresql://ann@host:5432/fanmail?sslmode=require&options=endpoint%3Dquiet-night",
  "postgres:///fanmail?host=/var/run/postgresql",
  "postgres://ann@/fanmail?host=/var/run/postgresql",
  "postgres://%2Fvar%2Frun%2Fpostgresql/fanmail",
  "postgres://host:5432/fanmail?user=ann@server",
  "postgres://[::1]:5432/fanmail",
])("%s is taken", (url) => {
  expect(problem("DATABASE_URL", url)).toBeNull();
});

test.each(["host=localhost dbname=fanmail", "mysql://host/fanmail", "5432"])("%s is no URL", (text) => {
  expect(problem("DATABASE_URL", text)).toContain("DATABASE_URL must be a URL such as postgres://");
});
