import { attacks } from "./attacks.ts";
import { workOn } from "./beside.ts";

/* The process of one attack, which goes on until it is asked to finish. */

export type AttackOrder = { name: string; port: number };

workOn(({ name, port }: AttackOrder, finished): Promise<number> => {
  const attack = attacks.find((known) => known.name === name);
  if (attack === undefined) throw new Error(`There is no attack "${name}"`);
  return attack.run(port, finished);
});
