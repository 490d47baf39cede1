import { type KeyObject, verify } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/domain/errors.ts";
import { parseSnsMessage, stringToSign } from "../../src/domain/mail/sns-message.ts";
import { type Certificates, createCertificates, type SigningKey } from "../../src/receive/signature.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type SnsSigner, snsSigner } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

const startMs = Date.parse("2026-11-20T12:00:00.000Z");
const remembersMs = 5_000;
const maxBytes = 16 * 1024;

let directory: string;
let signer: SnsSigner;
let aws: AwsStub;
let answer: (url: string, response: ServerResponse) => void;
let nowMs: number;
let certificates: Certificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-certificates-"));
  signer = await snsSigner(directory, {
    notBefore: "2024-01-01T00:00:00Z",
    notAfter: "2027-01-01T00:00:00Z",
  });
  aws = await awsStub((url, response) => answer(url, response));
});
afterAll(async () => {
  await aws?.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => {
  nowMs = startMs;
  answer = (_url, response) => response.end(signer.certificate);
  certificates = certificatesOf();
});
afterEach(() => {
  aws.requested.length = 0;
});

function certificatesOf(localCertificates: ReadonlyMap<string, string> = new Map()): Certificates {
  return createCertificates({
    localCertificates,
    dispatcher: async () => aws.dispatcher,
    now: () => new Date(nowMs),
  });
}

/** The key or the error, whether it comes at once or later. */
async function outcome(url = signer.certificateUrl, from = certificates): Promise<SigningKey | Error> {
  try {
    return await from.keyOf(url);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

const nameOf = (value: SigningKey | Error) => (value instanceof Error ? value.name : "a key");
const urlOf = (name: string) => `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${name}.pem`;
const signersRequest = () => signer.certificateUrl.replace("https://", "");

describe("a certificate", () => {
  test("is fetched once for all that ask while it is under way, and is the key that verifies", async () => {
    const asked = await Promise.all(
      Array.from({ length: 50 }, () => certificates.keyOf(signer.certificateUrl)),
    );

    expect(aws.requested).toEqual([signersRequest()]);
    expect(new Set(asked).size).toBe(1);
    expect(asked[0]).toMatchObject({
      validFrom: new Date("2024-01-01T00:00:00Z"),
      validTo: new Date("2027-01-01T00:00:00Z"),
    });
    const fields = signer.notification("text\n");
    const text = Buffer.from(stringToSign(parseSnsMessage(JSON.stringify(fields))));
    const signature = Buffer.from(String(fields["Signature"]), "base64");
    expect(verify("RSA-SHA256", text, (asked[0] as { key: KeyObject }).key, signature)).toBe(true);
  });

  test("that is known is answered at once, without a promise and without a request", async () => {
    const loaded = await certificates.keyOf(signer.certificateUrl);

    const again = certificates.keyOf(signer.certificateUrl);

    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toBe(loaded);
    expect(aws.requested).toHaveLength(1);
  });

  test("of each URL is its own", async () => {
    await Promise.all([certificates.keyOf(urlOf("a")), certificates.keyOf(urlOf("b"))]);

    expect(aws.requested.toSorted()).toEqual(
      [urlOf("a"), urlOf("b")].map((url) => url.replace("https://", "")),
    );
  });

  test("of exactly 16 KiB is taken", async () => {
    answer = (_url, response) => response.end(signer.certificate.padEnd(maxBytes, "\n"));

    expect(nameOf(await outcome())).toBe("a key");
  });
});

describe("what cannot be had now", () => {
  const failures: [what: string, (response: ServerResponse) => void][] = [
    ["a 503 whose body is a certificate", (response) => response.writeHead(503).end(signer.certificate)],
    ["a 404", (response) => response.writeHead(404).end("<Error/>")],
    ["a 204", (response) => response.writeHead(204).end()],
    ["a 206 whose body is a certificate", (response) => response.writeHead(206).end(signer.certificate)],
    ["text that is no certificate", (response) => response.end("<html>captive portal</html>")],
    ["half a certificate", (response) => response.end(signer.certificate.slice(0, 300))],
    ["nothing", (response) => response.end()],
    ["one byte more than 16 KiB", (response) => response.end(signer.certificate.padEnd(maxBytes + 1, "\n"))],
    [
      "endless text",
      (response) => {
        response.write(signer.certificate);
        const timer = setInterval(() => response.write("\n".repeat(4096)), 1);
        response.on("close", () => clearInterval(timer));
      },
    ],
    ["a connection that ends without an answer", (response) => response.destroy()],
    [
      "a connection that ends within the answer",
      (response) => {
        response.writeHead(200, { "content-length": "5000" });
        response.write(signer.certificate, () => response.destroy());
      },
    ],
  ];

  test.each(failures)("%s is an UnavailableError, and asked for again soon", async (_what, fail) => {
    answer = (_url, response) => fail(response);
    const failed = await outcome();
    answer = (_url, response) => response.end(signer.certificate);

    expect(failed).toBeInstanceOf(UnavailableError);
    expect(failed).toMatchObject({ message: expect.stringContaining(signer.certificateUrl) });
    nowMs += remembersMs - 1;
    expect(await outcome()).toBe(failed);
    expect(aws.requested).toHaveLength(1);
    nowMs += 1;
    expect(nameOf(await outcome())).toBe("a key");
    expect(aws.requested).toHaveLength(2);
  });

  test.each([301, 302, 303, 307, 308])("a redirect (%i) is not followed", async (status) => {
    answer = (url, response) => {
      if (url.includes("elsewhere")) response.end(signer.certificate);
      else response.writeHead(status, { location: "https://elsewhere.example/a.pem" }).end();
    };

    expect(await outcome()).toBeInstanceOf(UnavailableError);
    expect(aws.requested).toEqual([signersRequest()]);
  });

  test("is told to all that wait for it, and keeps no other certificate back", async () => {
    answer = (url, response) =>
      response.writeHead(url.includes("-a.pem") ? 500 : 200).end(signer.certificate);

    const outcomes = await Promise.all([outcome(urlOf("a")), outcome(urlOf("a")), outcome(urlOf("b"))]);

    expect(outcomes.map(nameOf)).toEqual(["UnavailableError", "UnavailableError", "a key"]);
    expect(aws.requested).toHaveLength(2);
  });

  test.each([
    [403, "certificate_missing"],
    [404, "certificate_missing"],
    [500, "certificate_unreachable"],
    [200, "certificate_unreachable"],
  ])("says by its cause whether AWS has none or gives none: %i", async (status, causeCode) => {
    answer = (_url, response) => response.writeHead(status).end("<Error/>");
    expect(await outcome()).toMatchObject({ causeCode });
  });
});

describe("names that somebody invents", () => {
  const held = new Set<ServerResponse>();
  const isInvented = (url: string) => url.includes("-bad");
  const invented = (index: number) => urlOf(`bad${index.toString(16)}`);
  const askFor = (count: number) => Array.from({ length: count }, (_, index) => outcome(invented(index)));
  const missing = (response: ServerResponse) => response.writeHead(404).end();

  beforeEach(() => {
    answer = (url, response) => {
      if (isInvented(url)) held.add(response);
      else response.end(signer.certificate);
    };
  });

  /** Answers what hangs, and all that comes from now on. */
  async function settle(asked: Promise<SigningKey | Error>[]): Promise<unknown[]> {
    answer = (_url, response) => missing(response);
    held.forEach(missing);
    held.clear();
    const outcomes = await Promise.all(asked);
    return outcomes.map((one) => ("causeCode" in one ? one.causeCode : "a key"));
  }

  test("and that hang keep no genuine one back, however many wait", async () => {
    const asked = askFor(300);
    let answered = 0;
    for (const one of asked) void one.then(() => answered++);
    await until("all places are taken", () => held.size >= 16);

    expect(nameOf(await outcome())).toBe("a key");
    // It had the next turn, before those that came earlier.
    expect(answered).toBeLessThan(100);

    expect(new Set(await settle(asked))).toEqual(new Set(["certificate_crowded", "certificate_missing"]));
  });

  test("and that go on coming keep no genuine one back", async () => {
    let asked = 0;
    let isOver = false;
    answer = (url, response) => {
      if (isInvented(url)) setTimeout(missing, 20, response);
      else response.end(signer.certificate);
    };
    const strangers = Array.from({ length: 200 }, async () => {
      while (!isOver) await outcome(invented(asked++));
    });
    try {
      await until("hundreds have been fetched", () => aws.requested.length > 300);

      expect(nameOf(await outcome())).toBe("a key");
    } finally {
      // They would go on for ever.
      isOver = true;
      await Promise.all(strangers);
    }
  });

  test("wait in bounds: the one that has waited for longest gives way", async () => {
    const asked = askFor(16 + 512 + 1);
    await until("all places are taken", () => held.size >= 16);

    expect(await asked[16]).toMatchObject({ causeCode: "certificate_crowded" });

    await settle(asked);
  });

  test("and have no turn are not taken for missing: asked for again, one is fetched", async () => {
    const asked = askFor(17);
    expect(await asked[0]).toMatchObject({ causeCode: "certificate_crowded" });
    answer = (_url, response) => response.end(signer.certificate);

    expect(nameOf(await outcome(invented(0)))).toBe("a key");

    await settle(asked);
  });

  test("of one region concern no other region", async () => {
    const asked = askFor(100);
    await until("all places are taken", () => held.size >= 16);
    const abroad = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a.pem";

    expect(nameOf(await outcome(abroad))).toBe("a key");

    await settle(asked);
  });
});

describe("a local certificate", () => {
  test("is read from its file, and nothing is fetched", async () => {
    const path = join(directory, "local.pem");
    await writeFile(path, signer.certificate);
    const local = certificatesOf(new Map([[signer.certificateUrl, path]]));

    const key = await outcome(signer.certificateUrl, local);

    expect(nameOf(key)).toBe("a key");
    expect(local.keyOf(signer.certificateUrl)).toBe(key);
    expect(aws.requested).toEqual([]);
  });

  test("that is missing is an UnavailableError with its cause, and nothing is fetched in its place", async () => {
    const local = certificatesOf(new Map([[signer.certificateUrl, join(directory, "missing.pem")]]));

    const failed = await outcome(signer.certificateUrl, local);

    expect(failed).toBeInstanceOf(UnavailableError);
    expect(failed).toMatchObject({ cause: expect.objectContaining({ code: "ENOENT" }) });
    expect(aws.requested).toEqual([]);
  });

  test("stands for its exact URL only", async () => {
    const local = certificatesOf(new Map([[urlOf("b"), join(directory, "missing.pem")]]));

    expect(nameOf(await outcome(urlOf("a"), local))).toBe("a key");
    expect(aws.requested).toHaveLength(1);
  });
});
