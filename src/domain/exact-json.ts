import { randomUUID } from "node:crypto";

/*
 * JSON without loss of digits: JSON.parse rounds 576461413038785751 to 576461413038785800, and reads 1e400 as
 * Infinity.
 */

/** A JSON number that a double cannot represent. Only `exactJson` writes it as a number. */
export class ExactNumber {
  /** As it was written. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Whether Postgres stores it exactly and at a reasonable size: `1e99999` has 100,000 digits. */
  get isStorable(): boolean {
    const rounded = Number(this.text);
    return this.text.length <= maxLength && Number.isFinite(rounded) && rounded !== 0;
  }

  toJSON(): string {
    return marker + this.text;
  }
}

const maxLength = 1_000;

/** Marks a number that passes through JSON.parse or JSON.stringify as text. No text from outside can contain it. */
const marker = `number-${randomUUID()}:`;
const marked = new RegExp(`"${marker}([^"]*)"`, "g");

/**
 * As JSON.parse, with an ExactNumber for each number that a double cannot represent.
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const withMarks = mayHoldExactNumbers.test(text) ? markExactNumbers(text) : text;
  return withMarks === text ? value : withExactNumbers(JSON.parse(withMarks));
}

/** As JSON.stringify, for values that may hold ExactNumbers. */
export function exactJson(value: unknown): string {
  const json = JSON.stringify(value);
  return json.includes(marker) ? json.replaceAll(marked, "$1") : json;
}

/**
 * Keys in the order of a jsonb value: shorter ones first, then by their bytes. So what is built from what is stored has
 * the same bytes as what was built before.
 */
export function inStoredOrder<Value>(value: Value): Value {
  // A value has the type of the copy: only the order of keys differs.
  return reordered(value) as Value;
}

function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  const parts = Object.entries(value).map(([key, part]) => ({ key, part, bytes: Buffer.byteLength(key) }));
  parts.sort((one, other) => one.bytes - other.bytes || compareBytes(one.key, other.key));
  return Object.fromEntries(parts.map(({ key, part }) => [key, reordered(part)]));
}

function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/**
 * Decimal digits without an exponent and without insignificant zeros: `1e21` and `1000000000000000000000.0` are the
 * same.
 */
export function plainDecimal(number: number | ExactNumber): string {
  const text = number instanceof ExactNumber ? number.text : String(number);
  const [mantissa = "", exponent = "0"] = text
    .toLowerCase()
    .replace(/^-/, "")
    .split(/e(?=[+-]?\d)/);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const point = whole.length + Number(exponent);
  const digits = (whole + fraction).padEnd(point, "0");
  const left = digits.slice(0, Math.max(point, 0)).replace(/^0+/, "") || "0";
  const right = (point < 0 ? "0".repeat(-point) + digits : digits.slice(point)).replace(/0+$/, "");
  return (text.startsWith("-") ? "-" : "") + (right === "" ? left : `${left}.${right}`);
}

/** A double represents every number of up to 15 digits with an exponent of one digit. */
const mayHoldExactNumbers = /[\d.]{16}|\de[+-]?\d\d/i;

/** Escapes and quotes show where a string ends; in valid JSON everything else that looks like a number is one. */
const tokens = /\\.|"|-?\d[\d.eE+-]*/gs;

/** @param text valid JSON. */
function markExactNumbers(text: string): string {
  let isInText = false;
  return text.replace(tokens, (token) => {
    if (token === '"') isInText = !isInText;
    const isNumber = !isInText && token !== '"';
    return isNumber && !isCarriedByDouble(token) ? `"${marker}${token}"` : token;
  });
}

function isCarriedByDouble(number: string): boolean {
  return significantDigits(number) === significantDigits(String(Number(number)));
}

/** Equal digits mean equal values, because Number takes the nearest double. */
function significantDigits(number: string): string {
  return number
    .replace(/e[+-]?\d+$/i, "")
    .replace(/[-.]/g, "")
    .replace(/^0+|0+$/g, "");
}

/** Without recursion, which fails at a depth that JSON.parse accepts. */
function withExactNumbers(root: unknown): unknown {
  const whole = { root };
  const open: object[] = [whole];
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    for (const [key, value] of Object.entries(holder)) {
      if (typeof value === "object" && value !== null) open.push(value);
      if (typeof value !== "string" || !value.startsWith(marker)) continue;
      // JSON.parse makes all keys own properties, `__proto__` too.
      Object.assign(holder, { [key]: new ExactNumber(value.slice(marker.length)) });
    }
  }
  return whole.root;
}
