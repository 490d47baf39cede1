import type { Random } from "../../../bench/corpus/random.ts";

/**
 * What a mutation makes of a genuine message. `harmless`: it is still genuine. `fatal`: it must be refused. `unverified`:
 * refused, perhaps only for now, because it may name another certificate. `open`: one or the other; only what was signed may
 * be accepted.
 */
export type Effect = "harmless" | "fatal" | "unverified" | "open";

/** Mutations by their names. */
export type Mutations<Mutate> = Readonly<Record<string, Mutate>>;

export function pickMutation<Mutate>(
  mutations: Mutations<Mutate>,
  random: Random,
): readonly [name: string, mutate: Mutate] {
  return pickFrom(Object.entries(mutations), random);
}

/** @throws if there is nothing to pick from. */
export function pickFrom<Item>(items: readonly Item[], random: Random): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("There is nothing to pick from");
  return item;
}

/** What is open may have changed the name of the certificate. */
export function combinedEffect(effects: readonly Effect[]): Effect {
  const has = (effect: Effect) => effects.includes(effect);
  if (has("unverified") || (has("fatal") && has("open"))) return "unverified";
  if (has("fatal")) return "fatal";
  return has("open") ? "open" : "harmless";
}
