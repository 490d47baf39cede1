import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, describe, expect } from "vitest";
import { packageVersion } from "../../src/package-info.ts";
import { freshBuild } from "../support/fresh-build.ts";
import { projectTest } from "../support/project-test.ts";

const test = projectTest({ roles: { receiver: true, workers: false } });
beforeAll(freshBuild);

describe("/openapi.json", () => {
  test("is a valid document of OpenAPI 3.1, without a key", async ({ service }) => {
    const answer = await service.get("/openapi.json", null);
    const document = (await answer.json()) as Record<string, unknown>;

    const { valid, errors } = await new Validator().validate(structuredClone(document));

    expect([answer.status, valid, errors]).toEqual([200, true, undefined]);
    expect(document).toMatchObject({ openapi: "3.1.1", info: { title: "Fanmail", version: packageVersion } });
  });

  test("names the scope of every operation, each by an id of its own", ({ service }) => {
    const operations = Object.values(service.contract.document.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const operation of operations) {
      expect(operation).toMatchObject({
        security: [{ apiKey: [expect.stringMatching(/^(\*|[a-z]+:[a-z]+)$/)] }],
      });
    }
  });

  test("states a limit for every text that is sent", ({ service }) => {
    const unlimited: string[] = [];
    const visit = (schema: Record<string, unknown>, place: string): void => {
      const isLimited = "maxLength" in schema || "enum" in schema || "const" in schema || "format" in schema;
      if (schema["type"] === "string" && !isLimited) unlimited.push(place);
      for (const [key, part] of Object.entries(schema)) {
        if (typeof part === "object" && part !== null)
          visit(part as Record<string, unknown>, `${place}.${key}`);
      }
    };
    for (const operations of Object.values(service.contract.document.paths)) {
      for (const { operationId, parameters, requestBody } of Object.values(operations)) {
        for (const { name, schema } of parameters) visit({ ...schema }, `${operationId} ${name}`);
        visit({ ...requestBody?.content["application/json"].schema }, operationId);
      }
    }
    expect(unlimited).toEqual([]);
  });
});

describe("/docs", () => {
  test("is served from here alone, and the browser holds it to that", async ({ service }) => {
    const answer = await service.get("/docs", null);
    const html = await answer.text();
    expect(answer.headers.get("content-security-policy")).toMatch(/^default-src 'self';/);
    expect(html).not.toMatch(/https?:/);
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url);
    expect(loaded).toHaveLength(4);
    for (const url of loaded) {
      const asset = await service.get(`/${url}`, null);
      expect([url, asset.status]).toEqual([url, 200]);
    }
  });

  test("with a slash at its end leads to the page whose links are right", async ({ service }) => {
    const answer = await fetch(`${service.url}/docs/`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([308, "../docs"]);
  });

  test("serves no other file of the viewer's package", async ({ service }) => {
    for (const path of ["package.json", "index.html", "..%2fpackage.json", "swagger-ui-bundle.js.map"]) {
      expect([path, (await service.get(`/docs/${path}`, null)).status]).toEqual([path, 404]);
    }
  });
});
