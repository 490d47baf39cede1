import type { Express } from "express";
import { packageVersion } from "../package-info.ts";

const description =
  "Amazon SES events in, signed webhooks out, and a REST API over everything that happened.";

/** Its links are relative, so that it works below a proxy's prefix. */
const page = `<!doctype html>
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
const answer = {
  name: "Fanmail",
  version: packageVersion,
  description,
  docs: "/docs",
  openapi: "/openapi.json",
};

/** `/`: what answers here, and where to read on: a page for browsers, JSON for programs. */
export function registerWelcome(app: Express): void {
  app.get("/", (request, response) => {
    if (request.accepts(["json", "html"]) === "html") response.type("html").send(page);
    else response.json(answer);
  });
}
