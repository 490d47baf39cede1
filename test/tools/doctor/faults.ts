import { type AddressInfo, createServer } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Area } from "../../../src/tools/doctor/finding.ts";
import { rules } from "../../../src/tools/doctor/rules/table.ts";
import type { AwsStub } from "../../support/aws-stub.ts";
import { certificateHost, type Ground, healthyGround, healthyWorld, type World } from "./healthy-world.ts";

/** A fault in a healthy system. Doctor must report it with a remedy. */
type Fault = {
  /** Of the rule. */
  code: string;
  fault: string;
  /** It writes to the database, and needs one of its own. */
  writes?: true;
  make: () => Promise<unknown> | unknown;
  area: Area;
  what: RegExp;
  remedy: RegExp;
};

let shared: Ground;
let certificates: AwsStub;
/** The system of the current test. */
export let world: World;
const cleanUps: (() => Promise<unknown>)[] = [];

export async function begin(writes: boolean): Promise<void> {
  const ground = writes ? await healthyGround() : shared;
  if (writes) cleanUps.push(() => ground.database.drop());
  world = await healthyWorld(ground, certificates);
  cleanUps.push(() => world.close());
}

/** Runs after the current test, before earlier clean-ups. */
export function later(cleanUp: () => Promise<unknown>): void {
  cleanUps.push(cleanUp);
}

/** Tests faults, and gives a file's other tests what `begin` needs. A file calls it once. */
export function testFaults(faults: Fault[]): void {
  registerHooks();
  test.each(faults)("$area: $fault", async ({ code, writes, make, area, what, remedy }) => {
    await begin(writes ?? false);
    await make();

    const findings = await world.examine();

    expect(findings).toContainEqual({
      code,
      area,
      level: rules.find((rule) => rule.code === code)?.level,
      what: expect.stringMatching(what),
      remedy: expect.stringMatching(remedy),
    });
    // Neither passwords nor secrets in URLs.
    expect(JSON.stringify(findings)).not.toMatch(/secret@|hook\/token|b{32}|a{32}/);
  });
}

/** Files share this module, so each has to register its own. */
function registerHooks(): void {
  beforeAll(async () => {
    [shared, certificates] = await Promise.all([healthyGround(), certificateHost()]);
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
  });
  afterAll(async () => {
    await certificates.close();
    await shared.database.drop();
  });
}

export const sql = (text: string, params: unknown[] = []) => world.database.db.query(text, params);
export const mySet = () => world.aws.account.configurationSets["my-set"]!;
export const destination = () => mySet().destinations[0]!;

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
