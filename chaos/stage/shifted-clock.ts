/*
 * Loaded before the product in each of its processes: SIGUSR2 sets the clock of that process apart from the others, and a
 * second one sets it back. What counts monotonic time is not affected, as with a clock that was set wrongly.
 */

const shiftMs = Number(process.env["CHAOS_CLOCK_SHIFT_MS"] ?? 0);
let isShifted = false;

const RealDate = Date;
const now = () => RealDate.now() + (isShifted ? shiftMs : 0);

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, asked) => Reflect.construct(target, given.length === 0 ? [now()] : given, asked),
  apply: () => new RealDate(now()).toString(),
  get: (target, property, receiver) => (property === "now" ? now : Reflect.get(target, property, receiver)),
});

process.on("SIGUSR2", () => {
  isShifted = !isShifted;
});
