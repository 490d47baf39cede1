/*
 * Who may import whom, as docs/architecture.md says. `npm run imports` checks it.
 */
const layer = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: from },
  to: { path: "^(src|workers)/", pathNot: [from, ...allowed] },
});

const only = (module, allowed) => ({
  name: `${module.replace(/\W+/g, "-")}-only-in-its-adapter`,
  severity: "error",
  from: { path: "^(src|workers)/", pathNot: allowed },
  to: { path: `^node_modules/${module}` },
});

const domain = "^src/domain/";
const values = [
  "^src/(logger|clock|config|package-info|data-dir|descriptors|metrics)\\.ts$",
  "^src/tracing/",
];
const adapters = ["^src/(storage|queue|sns|webhooks|aws)/"];

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "domain-is-pure",
      severity: "error",
      from: { path: domain },
      to: { pathNot: [domain, "^node_modules/(zod|isbot)/", "^node:crypto$", "^crypto$"] },
    },
    layer("storage", "^src/storage/", [domain]),
    layer("queue", "^src/queue/", [domain, "^src/clock\\.ts$", "^src/storage/connection\\.ts$"]),
    layer("sns", "^src/sns/", [domain]),
    layer("webhooks", "^src/webhooks/", [domain]),
    layer("tracing", "^src/tracing/", [domain, ...values]),
    layer("aws", "^src/aws/", [domain, ...values]),
    layer("capture", "^src/capture/", [domain, ...values, ...adapters]),
    layer("doctor", "^src/doctor/", [domain, "^src/context\\.ts$", ...values, ...adapters]),
    layer("embedded", "^src/embedded/", []),
    layer("ingest", "^src/ingest/", [domain, ...values, ...adapters]),
    layer("endpoints", "^src/endpoints/", [domain, ...values, ...adapters]),
    layer("people", "^src/people/", [
      domain,
      "^src/endpoints/",
      "^src/context\\.ts$",
      ...values,
      ...adapters,
    ]),
    layer("rebuild", "^src/rebuild/", [domain, "^src/context\\.ts$", ...values, ...adapters]),
    layer("trigger", "^src/trigger/", [domain, "^src/replay/", "^src/context\\.ts$", ...values, ...adapters]),
    layer("replay", "^src/replay/", [domain, ...values]),
    layer("http", "^src/http/", [
      domain,
      "^src/people/",
      "^src/endpoints/",
      "^src/context\\.ts$",
      ...values,
      ...adapters,
    ]),
    layer("workers", "^workers/", [
      domain,
      "^src/people/",
      "^src/endpoints/",
      "^src/context\\.ts$",
      ...values,
      ...adapters,
    ]),
    layer("context", "^src/context\\.ts$", [...values, ...adapters, "^src/embedded/"]),
    {
      name: "cli-reaches-http-and-workers-through-the-service",
      severity: "error",
      from: { path: "^src/(cli|demo)/" },
      to: { path: ["^src/http/", "^workers/", "^src/ingest/"] },
    },
    only("pg", ["^src/storage/", "^src/embedded/"]),
    only("express", ["^src/http/"]),
    only("@opentelemetry", ["^src/(tracing|queue)/"]),
    only("(bullmq|ioredis)", ["^src/queue/"]),
    only("@aws-sdk", ["^src/(ingest|aws)/"]),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".mjs", ".json"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "types", "default"],
    },
  },
};
