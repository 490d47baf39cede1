import { describe, expect, test } from "vitest";
import { RefusedError } from "../../../src/domain/errors.ts";
import { assertCertificateUrl } from "../../../src/domain/mail/sns-message.ts";

const topic = "arn:aws:sns:us-west-2:123456789012:ses-events";
const chineseTopic = "arn:aws-cn:sns:cn-north-1:123456789012:ses-events";
const europeanTopic = "arn:aws-eusc:sns:eusc-de-east-1:123456789012:ses-events";
const path = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
const host = "sns.us-west-2.amazonaws.com";

describe("assertCertificateUrl", () => {
  test.each([
    [topic, `https://${host}${path}`],
    [topic, `https://${host}/SimpleNotificationService-a.pem`],
    ["arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", `https://sns.us-gov-west-1.amazonaws.com${path}`],
    [europeanTopic, `https://sns.eusc-de-east-1.amazonaws.eu${path}`],
    [chineseTopic, `https://sns.cn-north-1.amazonaws.com.cn${path}`],
  ])("accepts for %s the certificate %s", (topicArn, url) => {
    expect(() => assertCertificateUrl(url, topicArn)).not.toThrow();
  });

  test.each([
    ["no text", ""],
    ["no URL", "certificate.pem"],
    ["an S3 bucket that is named so", `https://sns.s3-us-west-2.amazonaws.com${path}`],
    ["another S3 form", `https://sns.s3.us-west-2.amazonaws.com${path}`],
    ["another region", `https://sns.us-east-1.amazonaws.com${path}`],
    ["no region", `https://sns.amazonaws.com${path}`],
    ["the Chinese partition", `https://${host}.cn${path}`],
    ["another service", `https://sqs.us-west-2.amazonaws.com${path}`],
    ["a host in front", `https://evil.${host}${path}`],
    ["a host behind", `https://${host}.evil.example${path}`],
    ["a hyphen for a dot", `https://sns-us-west-2.amazonaws.com${path}`],
    ["userinfo", `https://user:password@${host}${path}`],
    ["the host as userinfo", `https://${host}@evil.example${path}`],
    ["the host and port as userinfo", `https://${host}:443@evil.example${path}`],
    ["a port", `https://${host}:444${path}`],
    ["the default port", `https://${host}:443${path}`],
    ["a query", `https://${host}${path}?a=b`],
    ["an empty query", `https://${host}${path}?`],
    ["the path in the query", `https://${host}/?${path}`],
    ["a fragment", `https://${host}${path}#a`],
    ["a pem in the fragment", `https://${host}/evil#${path}`],
    ["http", `http://${host}${path}`],
    ["ftp", `ftp://${host}${path}`],
    ["no scheme", `//${host}${path}`],
    ["an uppercase scheme", `HTTPS://${host}${path}`],
    ["an uppercase host", `https://SNS.us-west-2.amazonaws.com${path}`],
    ["a trailing dot", `https://${host}.${path}`],
    ["a backslash for a slash", `https://${host}\\${path.slice(1)}`],
    ["a backslash before the host", `https:\\\\${host}${path}`],
    ["a backslash before another host", `https://evil.example\\@${host}${path}`],
    ["a fullwidth letter", `https://ｓns.us-west-2.amazonaws.com${path}`],
    ["an ideographic full stop", `https://sns。us-west-2.amazonaws.com${path}`],
    ["a soft hyphen", `https://sns\u00ad.us-west-2.amazonaws.com${path}`],
    ["percent-encoding in the host", `https://%73ns.us-west-2.amazonaws.com${path}`],
    ["a tab in the host", `https://sns\t.us-west-2.amazonaws.com${path}`],
    ["a space in front", ` https://${host}${path}`],
    ["a line break behind", `https://${host}${path}\n`],
    ["a path that climbs", `https://${host}/SimpleNotificationService-/../evil.pem`],
    ["a path that climbs, encoded", `https://${host}/SimpleNotificationService-%2e%2e%2fevil.pem`],
    ["a directory in front", `https://${host}/evil${path}`],
    ["a doubled slash", `https://${host}/${path}`],
    ["a pem elsewhere", `https://${host}/evil.pem`],
    ["a name that is not hexadecimal", `https://${host}/SimpleNotificationService-xyz.pem`],
    ["an uppercase name", `https://${host}${path.replace("abcdef", "ABCDEF")}`],
    ["no name", `https://${host}/SimpleNotificationService-.pem`],
    ["another ending", `https://${host}${path.replace(".pem", ".pem.exe")}`],
    ["an encoded dot", `https://${host}${path.replace(".pem", "%2epem")}`],
    ["a file", `file:///etc${path}`],
    ["an IP address", `https://127.0.0.1${path}`],
  ])("refuses %s", (_what, url) => {
    expect(() => assertCertificateUrl(url, topic)).toThrow(RefusedError);
    expect(() => assertCertificateUrl(url, topic)).toThrow(
      expect.objectContaining({ status: 403, causeCode: "certificate_url" }),
    );
  });

  test("refuses for a Chinese topic the host without .cn, and the other way round", () => {
    const withoutCn = `https://sns.cn-north-1.amazonaws.com${path}`;

    expect(() => assertCertificateUrl(withoutCn, chineseTopic)).toThrow(RefusedError);
    expect(() => assertCertificateUrl(`${withoutCn.replace(".com", ".com.cn")}`, topic)).toThrow(
      RefusedError,
    );
  });

  test.each(["amazonaws.com", "amazonaws.eu.evil.example", "amazonaws-eusc.eu", "api.aws"])(
    "refuses for a topic of the European Sovereign Cloud a host in %s",
    (suffix) => {
      const url = `https://sns.eusc-de-east-1.${suffix}${path}`;

      expect(() => assertCertificateUrl(url, europeanTopic)).toThrow(RefusedError);
    },
  );

  test("does not quote the URL when it refuses", () => {
    expect(() => assertCertificateUrl("https://jane@example.com/", topic)).toThrow(
      "SigningCertURL is not the certificate of this topic's region",
    );
  });
});
