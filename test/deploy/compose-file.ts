import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";

const file = new URL("../../docker-compose.yml", import.meta.url);

const Service = z.object({
  image: z.string(),
  build: z.string().optional(),
  profiles: z.array(z.string()).default([]),
  mem_limit: z.string().regex(/^\d+[mg]$/),
  logging: z.object({
    driver: z.literal("json-file"),
    options: z.object({ "max-size": z.string(), "max-file": z.string() }),
  }),
  command: z.array(z.string()),
  environment: z
    .record(z.string(), z.union([z.string(), z.number().transform(String), z.null()]))
    .default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  stop_signal: z.enum(["SIGTERM", "SIGINT", "SIGUSR1"]).default("SIGTERM"),
  stop_grace_period: z.string().regex(/^\d+s$/),
  deploy: z.object({ replicas: z.number() }).default({ replicas: 1 }),
  healthcheck: z
    .union([z.object({ disable: z.literal(true) }), z.object({ test: z.array(z.string()) })])
    .optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});
const Compose = z.object({
  services: z.record(z.string(), Service),
  volumes: z.record(z.string(), z.null()),
});

export type ComposeService = z.output<typeof Service>;
export type Compose = z.output<typeof Compose>;
export type ServiceName =
  | "postgres"
  | "redis"
  | "migrate"
  | "receiver"
  | "worker"
  | "proxy"
  | "prometheus"
  | "grafana";

/** The file as the engine would see it. @param shell what .env or the shell sets. */
export async function readCompose(shell: Record<string, string>): Promise<Compose> {
  return Compose.parse(interpolated(await rawCompose(), shell));
}

/** As it is written, with YAML's merges done. */
export async function rawCompose(): Promise<unknown> {
  return parse(await readFile(file, "utf8"), { merge: true });
}

export function serviceOf({ services }: Compose, name: ServiceName): ComposeService {
  const service = services[name];
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return service;
}

/** What a container of the service is given, on top of its image. */
export function environmentOf(
  service: ComposeService,
  shell: Record<string, string>,
): Record<string, string> {
  const pairs = Object.entries(service.environment).map(([name, value]) => [name, value ?? shell[name]]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}

function interpolated(value: unknown, shell: Record<string, string>): unknown {
  if (typeof value === "string") return interpolate(value, shell);
  if (Array.isArray(value)) return value.map((one) => interpolated(one, shell));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, interpolated(one, shell)]));
}

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; an empty value counts as unset in the latter two. */
function interpolate(text: string, shell: Record<string, string>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest = "") => {
    const given = shell[name];
    if (given) return given;
    if (kind === "?") throw new Error(`required variable ${name} is missing a value: ${rest}`);
    return kind === "-" ? rest : "";
  });
}
