import type { AwsFact } from "../facts-aws.ts";
import type { DatabaseFact } from "../facts-database.ts";
import type { OwnFact } from "../facts-own.ts";
import type { Area, Finding, Level } from "../finding.ts";
import type { UnaskedFact, UnreadFact } from "../reading.ts";
import type { AccessFact } from "../readings-aws.ts";

/** What doctor has read about one thing. */
export type SystemFact = OwnFact | DatabaseFact | AccessFact | AwsFact | UnaskedFact | UnreadFact;

export type FactKind = SystemFact["kind"];
export type FactOf<Kind extends FactKind> = Extract<SystemFact, { kind: Kind }>;

type Words<Values> = string | ((values: Values) => string);

/** A rule about facts of a kind. */
type RuleOf<Kind extends FactKind, Values> = {
  code: string;
  /** A function where facts of several areas have this kind. */
  area: Area | ((fact: FactOf<Kind>) => Area);
  /** Pure. @returns what `say` and `remedy` need; a list for several findings; false or null for none. */
  when: (fact: FactOf<Kind>) => Values | readonly Values[] | false | null;
  say: Words<Values>;
} & (
  | { level: "next" | "warn" | "fail"; remedy: Words<Values> }
  | { level: "ok" | "skipped"; remedy?: Words<Values> }
);

export type Rule = { code: string; level: Level; judge: (fact: SystemFact) => Finding[] };

/** A row of the table. Rows of one kind apply in their order. */
export function rule<Kind extends FactKind, Values>(kind: Kind, row: RuleOf<Kind, Values>): Rule {
  const { code, area, level, when, say, remedy } = row;
  function judge(fact: SystemFact): Finding[] {
    if (!isOf(fact, kind)) return [];
    const found = when(fact);
    if (found === false || found === null) return [];
    return [found].flat().map((values) => ({
      code,
      area: typeof area === "string" ? area : area(fact),
      level,
      what: worded(say, values as Values),
      ...(remedy !== undefined && { remedy: worded(remedy, values as Values) }),
    }));
  }
  return { code, level, judge };
}

function isOf<Kind extends FactKind>(fact: SystemFact, kind: Kind): fact is FactOf<Kind> {
  return fact.kind === kind;
}

function worded<Values>(words: Words<Values>, values: Values): string {
  return typeof words === "string" ? words : words(values);
}
