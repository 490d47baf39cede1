/** How a JSON text lays out the fields of an object. */
type Layout = {
  open: string;
  colon: string;
  comma: string;
  close: string;
  /** The part of `comma` that no JSON string can hold and that is found soonest, and where it is. */
  mark: string;
  markAt: number;
};

/** As SNS and as JSON.stringify write. */
const layouts: readonly Layout[] = [
  { open: '{\n  "', colon: '" : "', comma: '",\n  "', close: '"\n}', mark: "\n", markAt: 2 },
  { open: '{"', colon: '":"', comma: '","', close: '"}', mark: ',"', markAt: 1 },
];

/** Whether a field may have a text. */
type TextCheck = (text: string) => boolean;
type Texts<Name extends string> = { [Field in Name]?: string };

/**
 * Makes a reader of JSON objects whose values are all texts. It takes about as long as JSON.parse, which neither checks
 * the texts nor notices a field that is given twice.
 * @returns null for whatever it does not read, right or wrong: other JSON, another layout, other fields, a field that
 *   is given twice, a text that does not pass its check.
 */
export function flatTextsReader<Name extends string>(
  checks: Readonly<Record<Name, TextCheck>>,
): (json: string) => Texts<Name> | null {
  const entries = Object.entries(checks) as [Name, TextCheck][];
  const fields = new Map<string, Field<Name>>(
    entries.map(([name, check]) => [name, { name, check, last: "" }]),
  );
  return (json) => {
    const layout = layouts.find(({ open }) => json.startsWith(open));
    return layout !== undefined && json.endsWith(layout.close) ? readTexts(json, layout, fields) : null;
  };
}

/** @property last the text before, because many stay the same: a topic, a certificate's URL. Empty for none. */
type Field<Name> = { name: Name; check: TextCheck; last: string };

/** Characters; longer texts do not repeat. */
const maxRemembered = 300;

/** A text ends where the layout says so. If it is no single JSON string, JSON.parse fails. */
function readTexts<Name extends string>(
  json: string,
  layout: Layout,
  fields: ReadonlyMap<string, Field<Name>>,
): Texts<Name> | null {
  const { open, colon, comma, close } = layout;
  const texts: Texts<Name> = {};
  const last = json.length - close.length;
  for (let place = open.length; place <= last; ) {
    const nameEnd = json.indexOf('"', place);
    const field = fields.get(json.slice(place, nameEnd));
    if (field === undefined || texts[field.name] !== undefined || !json.startsWith(colon, nameEnd))
      return null;
    const start = nameEnd + colon.length;
    const end = endOfText(json, start, layout) ?? last;
    const text = textOf(field, json, start, end);
    if (text === null) return null;
    texts[field.name] = text;
    place = end + comma.length;
  }
  return texts;
}

/** @returns where the next comma of the layout begins; undefined if there is none. */
function endOfText(json: string, start: number, { comma, mark, markAt }: Layout): number | undefined {
  const place = json.indexOf(mark, start) - markAt;
  return json.startsWith(comma, place) ? place : undefined;
}

/** @returns null if what is between two quotes is no single JSON string, or not a text for the field. */
function textOf<Name>(field: Field<Name>, json: string, start: number, end: number): string | null {
  const { last } = field;
  if (last !== "" && last.length === end - start && json.startsWith(last, start)) return last;
  const text = parsedText(json.slice(start - 1, end + 1));
  if (text === null || !field.check(text)) return null;
  // A text of the same length was written without escapes.
  if (text.length === end - start && text.length <= maxRemembered) field.last = text;
  return text;
}

/** A text of its own: what is only cut out of a body keeps the whole body in memory. */
function parsedText(quoted: string): string | null {
  try {
    return JSON.parse(quoted);
  } catch {
    return null;
  }
}
