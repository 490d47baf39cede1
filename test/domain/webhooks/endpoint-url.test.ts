import { describe, expect, test } from "vitest";
import { readEndpointUrl } from "../../../src/domain/webhooks/endpoint-url.ts";

const notAUrl = "must be an https URL such as https://example.com/webhooks";
const characters = "must not hold spaces, line breaks, control characters or backslashes";
const userinfo = "must not hold a user name or password";
const port = "must use port 443, 80, 8443, 8080 or one from 1024 on";
const longest = `https://example.com/${"a".repeat(2_028)}`;

describe("readEndpointUrl", () => {
  test.each([
    ["https://example.com", "https://example.com/"],
    ["https://example.com/webhooks?a=b%20c", "https://example.com/webhooks?a=b%20c"],
    ["http://example.com/", "http://example.com/"],
    ["HTTPS://EXAMPLE.com:443/A", "https://example.com/A"],
    ["https://example.com:80/", "https://example.com:80/"],
    ["http://example.com:443/", "http://example.com:443/"],
    ["https://example.com:8443/", "https://example.com:8443/"],
    ["http://example.com:8080/", "http://example.com:8080/"],
    ["https://example.com:1024/", "https://example.com:1024/"],
    ["https://example.com:65535/", "https://example.com:65535/"],
    ["https://bücher.example/é", "https://xn--bcher-kva.example/%C3%A9"],
    ["https://example.com/a/../b", "https://example.com/b"],
    ["https://@example.com/", "https://example.com/"],
    // What is a number in disguise is seen as the address that it is.
    ["https://0x7f.1/", "https://127.0.0.1/"],
    ["https://2130706433/", "https://127.0.0.1/"],
    ["https://１２７.0.0.1/", "https://127.0.0.1/"],
    ["https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/"],
    [longest, longest],
  ])("gives %s in its normal form", (text, url) => {
    expect(readEndpointUrl(text)).toEqual({ url });
  });

  test.each([
    ["", notAUrl],
    ["example.com", notAUrl],
    ["//example.com", notAUrl],
    ["https://", notAUrl],
    ["https://:443/", notAUrl],
    ["https://256.1.1.1/", notAUrl],
    ["https://[::1/", notAUrl],
    ["https://[fe80::1%25eth0]/", notAUrl],
    ["https://example.com%00.example.org/", notAUrl],
    ["https://example.com:65536/", notAUrl],
    ["file:///etc/passwd", notAUrl],
    ["ftp://example.com/", notAUrl],
    ["gopher://example.com/", notAUrl],
    ["javascript:alert(1)", notAUrl],
    ["data:text/plain,a", notAUrl],
    ["ws://example.com/", notAUrl],
    ["wss://example.com/", notAUrl],
    ["blob:https://example.com/a", notAUrl],
    [" https://example.com/", characters],
    ["https://example.com/ ", characters],
    ["https://example.com/a b", characters],
    ["https://exa\tmple.com/", characters],
    ["https://example.com/\r\nx", characters],
    ["https://example.com/\u0000", characters],
    ["https://example.com/\u007f", characters],
    ["https://example.com/\u00a0", characters],
    ["https://example.com/\u2028", characters],
    ["https:\\\\example.com", characters],
    ["https://127.0.0.1\\@example.com/", characters],
    ["https://user@example.com/", userinfo],
    ["https://user:secret@example.com/", userinfo],
    ["https://:secret@example.com/", userinfo],
    ["https://example.com@127.0.0.1/", userinfo],
    ["https://example.com:0/", port],
    ["https://example.com:22/", port],
    ["https://example.com:25/", port],
    ["http://example.com:81/", port],
    ["https://example.com:444/", port],
    ["https://example.com:1023/", port],
    [`${longest}a`, "is longer than 2048 characters"],
    [`https://example.com/${"é".repeat(400)}`, "is longer than 2048 characters in its normal form"],
  ])("refuses %j", (text, problem) => {
    expect(readEndpointUrl(text)).toEqual({ problem });
  });
});
