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
  "^src/(logger|clock|config|package-info|data-dir|descriptors|metrics|no-metrics)\\.ts$",
  "^src/tracing/",
];
const adapters = ["^src/(storage|queue|aws|embedded)/"];
const wings = ["^src/(receive|webhooks|events|suppressions|erasure)/"];
const context = "^src/context\\.ts$";

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
    layer("queue", "^src/queue/", [
      domain,
      "^src/(clock|logger)\\.ts$",
      "^src/storage/(connection|database)\\.ts$",
    ]),
    layer("aws", "^src/aws/", [domain, ...values]),
    layer("embedded", "^src/embedded/", []),
    layer("tracing", "^src/tracing/", [domain, ...values]),
    layer("wings", wings[0], [domain, ...values, ...adapters]),
    layer("http", "^src/http/", [domain, context, ...values, ...adapters, ...wings]),
    layer("workers", "^workers/", [domain, context, ...values, ...adapters, ...wings]),
    layer("tools", "^src/tools/", [domain, context, ...values, ...adapters, ...wings]),
    layer("context", context, [domain, ...values, ...adapters, ...wings]),
    {
      name: "only-the-cli-knows-tools",
      severity: "error",
      from: { path: "^(src|workers)/", pathNot: ["^src/(cli|tools)/"] },
      to: { path: "^src/tools/" },
    },
    {
      name: "cli-reaches-http-and-workers-through-the-service",
      severity: "error",
      from: { path: "^src/cli/" },
      to: { path: ["^src/http/", "^workers/", "^src/receive/(?!aws-documents)"] },
    },
    {
      name: "embedded-has-one-entry",
      severity: "error",
      from: { path: "^(src|workers)/", pathNot: "^src/embedded/" },
      to: { path: "^src/embedded/", pathNot: "^src/embedded/embedded-postgres\\.ts$" },
    },
    {
      name: "sql-is-for-its-own-folder",
      severity: "error",
      from: { path: "^(.+)/[^/]+$" },
      to: { path: "\\.sql\\.ts$", pathNot: "^$1/[^/]+$" },
    },
    only("pg", ["^src/storage/", "^src/embedded/"]),
    only("express", ["^src/http/"]),
    only("@opentelemetry", ["^src/(tracing|queue)/"]),
    only("(bullmq|ioredis)", ["^src/queue/"]),
    only("@aws-sdk", ["^src/(receive|aws|tools/connect)/"]),
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
