/** `npm test` is short, `npm run test:slow` is not. */
const isLong = process.env["TEST_LENGTH"] !== undefined;

/** A number, or a list of cases, that is larger in the long run. */
export function atLength<Value>(short: Value, long: Value): Value {
  return isLong ? long : short;
}
