import type { Fact, FactKind, FactOf } from "../fact.ts";
import type { Area, Finding, Level } from "../finding.ts";

type Words<Values> = string | ((values: Values) => string);

/** What is to be said about facts of a kind. */
type RuleOf<Kind extends FactKind, Values> = {
  code: string;
  /** A fact that any area may have names its own. */
  area: Area | ((fact: FactOf<Kind>) => Area);
  level: Level;
  /** Pure. @returns what `say` and `remedy` need; a list for several findings; false or null for none. */
  when: (fact: FactOf<Kind>) => Values | readonly Values[] | false | null;
  say: Words<Values>;
  /** What to do about it; a rule of the level `warn`, `fail` or `next` has one. */
  remedy?: Words<Values>;
};

export type Rule = { code: string; kind: FactKind; level: Level; judge: (fact: Fact) => Finding[] };

/** Makes a row of the table. Rows of one kind are judged in their order. */
export function rule<Kind extends FactKind, Values>(kind: Kind, row: RuleOf<Kind, Values>): Rule {
  const { code, area, level, when, say, remedy } = row;
  function judge(fact: Fact): Finding[] {
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
  return { code, kind, level, judge };
}

function isOf<Kind extends FactKind>(fact: Fact, kind: Kind): fact is FactOf<Kind> {
  return fact.kind === kind;
}

function worded<Values>(words: Words<Values>, values: Values): string {
  return typeof words === "string" ? words : words(values);
}
