const startedMs = Date.now();

/**
 * Puts what cannot be the same in every service into the words of the page. An id, or a cursor, of the page stands
 * for one and the same of the service throughout; a time may differ where it is of this test, by the service's clock.
 */
export function pageTerms() {
  const varying =
    /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z|\b[\w-]{86}\b|whsec_[\w+/]{43}=/g;
  const [pageOf, actualOf] = [new Map<string, string>(), new Map<string, string>()];

  function translateText(actual: string, page: string): string {
    const written = page.match(varying) ?? [];
    let place = 0;
    return actual.replaceAll(varying, (found) => translateName(found, written[place++] ?? found));
  }

  function translateName(actual: string, page: string): string {
    if (/^\d{4}-\d\d-/.test(actual)) {
      const isOfThisTest = Date.parse(actual) >= startedMs && Date.parse(actual) <= Date.now();
      return isOfThisTest && page.length === actual.length ? page : actual;
    }
    if (!pageOf.has(actual) && !actualOf.has(page)) {
      pageOf.set(actual, page);
      actualOf.set(page, actual);
    }
    return pageOf.get(actual) ?? actual;
  }

  function translate(actual: unknown, page: unknown): unknown {
    if (typeof actual === "string" && typeof page === "string") return translateText(actual, page);
    if (Array.isArray(actual) && Array.isArray(page)) {
      return actual.map((part, place) => translate(part, page[place]));
    }
    if (!isObject(actual) || !isObject(page)) return actual;
    return Object.fromEntries(
      Object.entries(actual).map(([key, part]) => {
        const isRight = typeof part === typeof page[key] && isRightInAnyRun[key]?.(part);
        return [key, isRight ? page[key] : translate(part, page[key])];
      }),
    );
  }

  return { translate };
}

/** Fields that differ from run to run, and what is right in each. */
const isRightInAnyRun: Readonly<Record<string, (value: unknown) => boolean>> = {
  duration_ms: (value) => Number.isInteger(value) && Number(value) >= 0,
  next_attempt_at: (value) => typeof value === "string" && Date.parse(value) > Date.now(),
};

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
