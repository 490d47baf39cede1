/** `npm test` is short; `npm run test:slow` and `npm run test:all` are not. */
const isLong = process.env["TEST_LENGTH"] !== undefined;

/** A number, or a list of cases, that is larger in the long runs. */
export function atLength<Value>(short: Value, long: Value): Value {
  return isLong ? long : short;
}
