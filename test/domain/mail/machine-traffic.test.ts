import { describe, expect, test } from "vitest";
import { machineSign, type Sighting, signOfToday } from "../../../src/domain/mail/machine-traffic.ts";

const deliveredAt = new Date("2026-11-20T10:00:00.000Z");
const later = (ms: number) => new Date(deliveredAt.getTime() + ms);
const anHourLater = later(3_600_000);
const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0";
const scanner = "Barracuda Sentinel (EE)";
const styleSheet = "https://shop.example.com/mail.css";

describe("the user agent of Apple's prefetch", () => {
  test.each(["Mozilla/5.0", " Mozilla/5.0", "Mozilla/5.0 ", "\tMozilla/5.0\r\n"])("is %j", (user_agent) => {
    expect(machineSign({ user_agent }, anHourLater, deliveredAt)).toBe("prefetch");
  });

  test("is not the beginning of a longer one, nor a part of it", () => {
    const edge = `${firefox} Mozilla/5.0`;

    expect(machineSign({ user_agent: firefox }, anHourLater, deliveredAt)).toBeNull();
    expect(machineSign({ user_agent: edge }, anHourLater, deliveredAt)).toBeNull();
  });
});

test("a machine that says its name is one, whenever it comes", () => {
  expect(machineSign({ user_agent: scanner }, anHourLater, deliveredAt)).toBe("agent");
  expect(machineSign({ user_agent: "curl/8" }, anHourLater, null)).toBe("agent");
});

test.each([undefined, "", " ", "\t\n"])("nothing follows from the user agent %j", (agent) => {
  const seen = agent === undefined ? {} : { user_agent: agent };
  expect(machineSign(seen, anHourLater, deliveredAt)).toBeNull();
  expect(machineSign(seen, anHourLater, null)).toBeNull();
});

describe("an open or click after the delivery", () => {
  test.each([
    [-86_400_000, "delivery"],
    [-1, "delivery"],
    [0, "delivery"],
    [2_000, "delivery"],
    [2_001, null],
  ])("by %i ms is %s", (ms, sign) => {
    expect(machineSign({ user_agent: firefox }, later(ms), deliveredAt)).toBe(sign);
    expect(machineSign({}, later(ms), deliveredAt)).toBe(sign);
  });

  test("that is not known is a person's", () => {
    expect(machineSign({ user_agent: firefox }, deliveredAt, null)).toBeNull();
  });

  test("to one of several recipients is a person's, for another may have had the email before", () => {
    const seen = { user_agent: firefox, recipient_certain: false } as const;

    expect(machineSign(seen, later(-1), deliveredAt)).toBeNull();
    expect(machineSign(seen, later(1), deliveredAt)).toBeNull();
  });
});

describe("what SES says", () => {
  test("goes before our rules: a likely machine is one", () => {
    expect(machineSign({ is_bot_event: "Likely", user_agent: firefox }, anHourLater, null)).toBe("aws");
    expect(machineSign({ is_bot_event: "Likely", user_agent: scanner }, later(1), deliveredAt)).toBe("aws");
  });

  test.each<[string, Sighting, Date, string | null]>([
    ["the rule of user agents", { user_agent: scanner }, anHourLater, null],
    ["not that of Apple's prefetch", { user_agent: "Mozilla/5.0" }, anHourLater, "prefetch"],
    ["not that of two seconds", { user_agent: firefox }, later(2_000), "delivery"],
    ["not that of what comes before the delivery", { user_agent: firefox }, later(-9), "delivery"],
    ["not that of style sheets", { user_agent: firefox, url_clicked: styleSheet }, anHourLater, "asset"],
  ])("overrules, when a machine is unlikely, %s", (_rule, seen, at, sign) => {
    expect(machineSign({ ...seen, is_bot_event: "Unlikely" }, at, deliveredAt)).toBe(sign);
  });

  test.each(["likely", "LIKELY", " Likely", "Very Likely", "true", "unlikely", ""])(
    "says nothing when it is %j",
    (is_bot_event) => {
      expect(machineSign({ is_bot_event, user_agent: firefox }, anHourLater, null)).toBeNull();
      expect(machineSign({ is_bot_event, user_agent: scanner }, anHourLater, null)).toBe("agent");
    },
  );
});

describe("a click", () => {
  test.each([
    styleSheet,
    "https://shop.example.com/MAIL.CSS?v=3#top",
    "https://shop.example.com/fonts/inter.woff2",
    "https://shop.example.com/fonts/inter.ttf",
    "https://fonts.googleapis.com/css2?family=Inter:wght@400;700&display=swap",
    "https://fonts.gstatic.com/s/inter/v13/x",
    "https://use.typekit.net/abc1def.css",
  ])("on %s is the email's own", (url_clicked) => {
    expect(machineSign({ url_clicked, user_agent: firefox }, anHourLater, deliveredAt)).toBe("asset");
  });

  test.each([
    "https://shop.example.com/",
    "https://shop.example.com/css",
    "https://shop.example.com/about.css.html",
    "https://shop.example.com/?theme=mail.css",
    "https://shop.example.com/pictures/1.png",
    "https://fonts.google.com/specimen/Inter",
    "mail.css",
    "",
  ])("on %j is a person's", (url_clicked) => {
    expect(machineSign({ url_clicked, user_agent: firefox }, anHourLater, deliveredAt)).toBeNull();
  });
});

test("of several signs the first in the order of the rules stands", () => {
  const machine = { is_bot_event: "Likely", user_agent: "Mozilla/5.0", url_clicked: styleSheet };
  const { is_bot_event: _, ...unsaid } = machine;

  expect(machineSign(machine, later(1), deliveredAt)).toBe("aws");
  expect(machineSign(unsaid, later(1), deliveredAt)).toBe("delivery");
  expect(machineSign(unsaid, anHourLater, deliveredAt)).toBe("prefetch");
  expect(machineSign({ ...unsaid, user_agent: scanner }, anHourLater, deliveredAt)).toBe("agent");
});

test("signs that an earlier version stored have a name of today", () => {
  const stored = ["apple_prefetch", "known_bot", "just_delivered", "aws", undefined] as const;

  expect(stored.map((sign) => signOfToday(sign))).toEqual([
    "prefetch",
    "agent",
    "delivery",
    "aws",
    undefined,
  ]);
});
