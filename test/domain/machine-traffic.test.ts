import { describe, expect, test } from "vitest";
import { machineSign } from "../../src/domain/machine-traffic.ts";

const deliveredAt = new Date("2026-11-20T10:00:00.000Z");
const later = (ms: number) => new Date(deliveredAt.getTime() + ms);
const anHourLater = later(3_600_000);
const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";

describe("the user agent of Apple's prefetch", () => {
  test.each(["Mozilla/5.0", " Mozilla/5.0", "Mozilla/5.0 ", "\tMozilla/5.0\r\n"])("is %j", (agent) => {
    expect(machineSign(agent, anHourLater, deliveredAt)).toBe("apple_prefetch");
  });

  test("is not the beginning of a longer one, nor a part of it", () => {
    const edge = `${firefox} Mozilla/5.0`;

    expect(machineSign(firefox, anHourLater, deliveredAt)).toBeNull();
    expect(machineSign(edge, anHourLater, deliveredAt)).toBeNull();
  });
});

test.each([
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "curl/8",
  "curl/8.5.0",
  "python-requests",
  "python-requests/2.32.3",
])("%s is a known bot, whenever it comes", (agent) => {
  expect(machineSign(agent, anHourLater, deliveredAt)).toBe("known_bot");
  expect(machineSign(agent, later(-1), deliveredAt)).toBe("known_bot");
  expect(machineSign(agent, anHourLater, null)).toBe("known_bot");
});

describe("behind the mail programs and the proxies of mail providers is a person", () => {
  test.each([
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0 (compatible; YandexImageProxy/1.0)",
    "Outlook-iOS-Android/1.0",
    "ProtonMail",
    "Superhuman",
    "Spark/2.3.9",
    "Airmail",
    "Airmail/5.0",
    "Thunderbird",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.5.0",
  ])("%s", (agent) => {
    expect(machineSign(agent, anHourLater, deliveredAt)).toBeNull();
    expect(machineSign(agent.toUpperCase(), anHourLater, deliveredAt)).toBeNull();
  });
});

test.each([undefined, "", " ", "\t\n"])("nothing follows from the user agent %j", (agent) => {
  expect(machineSign(agent, anHourLater, deliveredAt)).toBeNull();
  expect(machineSign(agent, anHourLater, null)).toBeNull();
});

describe("an open or click after the delivery", () => {
  test.each([
    [-2_000, null],
    [-1, null],
    [0, "just_delivered"],
    [1, "just_delivered"],
    [2_000, "just_delivered"],
    [2_001, null],
  ])("by %i ms is %s", (ms, sign) => {
    expect(machineSign(firefox, later(ms), deliveredAt)).toBe(sign);
    expect(machineSign(undefined, later(ms), deliveredAt)).toBe(sign);
  });

  test("that is not known is a person's", () => {
    expect(machineSign(firefox, deliveredAt, null)).toBeNull();
  });

  test("tells of the user agent before the time", () => {
    expect(machineSign("Mozilla/5.0", later(1_000), deliveredAt)).toBe("apple_prefetch");
    expect(machineSign("curl/8", later(1_000), deliveredAt)).toBe("known_bot");
    expect(machineSign("Superhuman", later(1_000), deliveredAt)).toBe("just_delivered");
  });
});
