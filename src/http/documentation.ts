import { fileURLToPath } from "node:url";
import type { Express } from "express";
import { packageRoot, packageVersion } from "../package-info.ts";
import type { AnyRoute } from "./route.ts";

/** The page loads nothing from other hosts. Swagger UI sets inline styles. */
const contentSecurityPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

const viewerPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fanmail API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
`;

/** `validatorUrl: null`: the viewer does not send the document to a public validator. */
const startScript = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  validatorUrl: null,
});
`;

const cachedForADay = { "cache-control": "public, max-age=86400" };
const assets = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/** `/openapi.json` for programs, and `/docs` for people: Swagger UI, self-hosted. Neither needs a key. */
export function registerDocumentation(app: Express, routes: readonly AnyRoute[]): void {
  let document: ReturnType<typeof describe> | undefined;
  // The build copies the assets, so that swagger-ui is no dependency of a running service.
  const root = fileURLToPath(new URL("dist/swagger-ui/", packageRoot));
  app.get("/openapi.json", async (_request, response) => {
    document ??= describe(routes);
    response.json(await document);
  });
  app.get("/docs", (request, response) => {
    // Its links are relative, so that it works below a proxy's prefix.
    if (request.path.endsWith("/")) return response.redirect(308, "../docs");
    response.set("content-security-policy", contentSecurityPolicy).type("html").send(viewerPage);
  });
  app.get("/docs/start.js", (_request, response) => {
    response.type("js").send(startScript);
  });
  for (const asset of assets) {
    app.get(`/docs/${asset}`, (_request, response) =>
      response.sendFile(asset, { root, cacheControl: false, headers: cachedForADay }),
    );
  }
}

/** Loaded and run on the first request: most processes never get one. */
async function describe(routes: readonly AnyRoute[]) {
  const { openApiDocument } = await import("./openapi.ts");
  return openApiDocument(routes.map(({ description }) => description));
}

const description =
  "Amazon SES events in, signed webhooks out, and a REST API over everything that happened.";

/** Its links are relative, so that it works below a proxy's prefix. */
const welcomePage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fanmail</title>
<h1>Fanmail ${packageVersion}</h1>
<p>${description}</p>
<ul>
<li><a href="docs">API documentation</a></li>
<li><a href="openapi.json">OpenAPI document</a></li>
</ul>
</html>
`;
const welcome = {
  name: "Fanmail",
  version: packageVersion,
  description,
  docs: "/docs",
  openapi: "/openapi.json",
};

/** `/`: name, version and links, as a page for browsers and JSON for programs. */
export function registerWelcome(app: Express): void {
  app.get("/", (request, response) => {
    if (request.accepts(["json", "html"]) === "html") response.type("html").send(welcomePage);
    else response.json(welcome);
  });
}
