import { expect, test } from "vitest";
import { UnavailableError } from "../../src/domain/errors.ts";
import { createAdmission } from "../../src/receive/admission.ts";

/** Work that ends when the test says so. */
function heldWork() {
  const ends: (() => void)[] = [];
  return { ends, work: () => new Promise<string>((resolve) => ends.push(() => resolve("done"))) };
}

test("beyond so many messages the next one is turned away at once, until one is done", async () => {
  const { ends, work } = heldWork();
  const admit = createAdmission({ mostMessages: 2, mostBytes: 1_000 });
  const first = admit(1, work);
  const second = admit(1, work);

  await expect(admit(1, work)).rejects.toThrow(UnavailableError);
  ends[0]?.();
  expect(await first).toBe("done");
  const third = admit(1, work);
  ends[1]?.();
  ends[2]?.();

  expect(await Promise.all([second, third])).toEqual(["done", "done"]);
  expect(ends).toHaveLength(3);
});

test("beyond so many bytes likewise, also after work that failed", async () => {
  const { ends, work } = heldWork();
  const admit = createAdmission({ mostMessages: 100, mostBytes: 1_000 });
  const refused = new Error("refused");
  const failing = () => {
    throw refused;
  };
  await expect(admit(900, failing)).rejects.toBe(refused);
  const large = admit(900, work);

  await expect(admit(200, work)).rejects.toThrow("Too many notifications are waiting to be stored");
  const small = admit(100, work);
  for (const end of ends) end();

  expect(await Promise.all([large, small])).toEqual(["done", "done"]);
});
