/** What a check has found wrong, by kind. */
const findingKinds = [
  /** Something that was acknowledged and is not there. */
  "lost",
  /** Something that is there, or counts, more than once. */
  "counted twice",
  /** A row that differs from what its facts make of it. */
  "differs",
  /** A webhook that an endpoint was owed and did not get, or got without cause. */
  "webhook",
  /** A repeated POST that no fault explains. */
  "unexplained repeat",
  /** A process that ended by itself, a wrong answer, a deadlock, something that is never finished. */
  "conduct",
] as const;
export type FindingKind = (typeof findingKinds)[number];

export type Findings = {
  add(kind: FindingKind, what: string): void;
  count(kind: FindingKind): number;
  /** The first of each kind. */
  examples(): string[];
  isEmpty(): boolean;
};

const examplesOfKind = 5;

export function createFindings(): Findings {
  const all = new Map<FindingKind, { count: number; examples: string[] }>();
  return {
    add(kind, what) {
      const of = all.get(kind) ?? { count: 0, examples: [] };
      all.set(kind, of);
      of.count++;
      if (of.examples.length < examplesOfKind) of.examples.push(what);
    },
    count: (kind) => all.get(kind)?.count ?? 0,
    examples: () => [...all].flatMap(([kind, of]) => of.examples.map((what) => `${kind}: ${what}`)),
    isEmpty: () => all.size === 0,
  };
}
