import { describe, expect, test } from "vitest";
import { readEndpointHeaders } from "../../../src/domain/webhooks/headers.ts";

describe("readEndpointHeaders", () => {
  test("gives names in lower case", () => {
    expect(readEndpointHeaders({ Authorization: "Bearer a b", "X-Team": "mail" })).toEqual({
      headers: { authorization: "Bearer a b", "x-team": "mail" },
    });
    expect(readEndpointHeaders({})).toEqual({ headers: {} });
  });

  test.each([
    "webhook-id",
    "Webhook-Signature",
    "webhook-anything",
    "Host",
    "content-type",
    "Content-Length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "accept-encoding",
    "user-agent",
    "x-fanmail-attempt",
    "X-RQE-Signature",
  ])("refuses %s, which is reserved", (name) => {
    expect(readEndpointHeaders({ [name]: "a" })).toEqual({
      problem: `must not set ${name.toLowerCase()}, which is reserved`,
    });
  });

  test.each([
    ["a name that HTTP has not", { "x team": "a" }, /names/],
    ["an empty name", { "": "a" }, /names/],
    ["a name with a line break", { "x\r\ny": "a" }, /names/],
    ["a long name", { ["x".repeat(101)]: "a" }, /names/],
    ["a line break in a value", { "x-a": "b\r\nx-c: d" }, /that of x-a is not/],
    ["an empty value", { "x-a": "" }, /that of x-a is not/],
    ["space around a value", { "x-a": " b" }, /that of x-a is not/],
    ["a value beyond ASCII", { "x-a": "bé" }, /that of x-a is not/],
    ["a long value", { "x-a": "b".repeat(4_097) }, /1 to 4096/],
    ["one header twice", { "X-A": "b", "x-a": "c" }, /once/],
    ["what answers show in place of a value", { "x-a": "[hidden]" }, /itself/],
    ["too many", Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`x-${i}`, "a"])), /at most 20/],
  ])("refuses %s", (_name, headers, problem) => {
    expect(readEndpointHeaders(headers)).toEqual({ problem: expect.stringMatching(problem) });
  });

  test("a name of an object's own makes is a header like any other", () => {
    const given = JSON.parse('{"__proto__": "a", "constructor": "b"}') as Record<string, string>;
    expect(JSON.stringify(readEndpointHeaders(given))).toBe(
      '{"headers":{"__proto__":"a","constructor":"b"}}',
    );
  });
});
