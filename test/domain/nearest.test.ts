import { expect, test } from "vitest";
import { editDistance } from "../../src/domain/nearest.ts";

test.each([
  ["email", "email", 0],
  ["emial", "email", 2],
  ["statu", "status", 1],
  ["sttatus", "status", 1],
  ["since", "zince", 1],
  ["", "abc", 3],
  ["abc", "", 3],
])("from %j to %j: %i", (one, other, distance) => {
  expect(editDistance(one, other)).toBe(distance);
});
