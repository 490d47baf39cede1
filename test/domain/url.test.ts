import { expect, test } from "vitest";
import { parseUrl } from "../../src/domain/url.ts";

test("a URL is read, and anything else is null", () => {
  expect(parseUrl("HTTPS://Example.com/a")?.href).toBe("https://example.com/a");
  for (const text of ["", "example.com", "https://", "https://a b/", "http://[::1"])
    expect(parseUrl(text)).toBeNull();
});

test("a letter such as ü is read the same, however often the process has read one", () => {
  for (let count = 0; count < 30_000; count++) {
    expect(parseUrl("https://bücher.example/é")?.href).toBe("https://xn--bcher-kva.example/%C3%A9");
  }
});
