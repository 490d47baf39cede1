/** What `/metrics` of a process says: `name{labels}` → value. */
export type Readings = Map<string, number>;

export async function readMetrics(url: string): Promise<Readings> {
  const answer = await fetch(`${url}/metrics`);
  if (answer.status !== 200) throw new Error(`/metrics answers ${answer.status}: ${await answer.text()}`);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** The series of a metric that are not 0, by their labels. */
export function counted(readings: Readings, name: string): Record<string, number> {
  const series = [...readings].filter(([key, value]) => key.split("{")[0] === name && value !== 0);
  return Object.fromEntries(series.map(([key, value]) => [key.slice(name.length), value]));
}
