/** Of the two runs, `npm test` and `npm run test:slow`, the second takes its time. */
const isLong = process.env["TEST_LENGTH"] === "long";

/** What is a different number, or other cases, in the two runs. */
export function atLength<Value>(short: Value, long: Value): Value {
  return isLong ? long : short;
}
