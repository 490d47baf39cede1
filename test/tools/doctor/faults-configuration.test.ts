import { type AddressInfo, createServer } from "node:net";
import { Agent, buildConnector } from "undici";
import { systemClock } from "../../../src/clock.ts";
import { closedPort, later, sql, testFaults, world } from "./faults.ts";
import { queueUrl } from "./healthy-world.ts";

testFaults([
  {
    code: "source-none",
    fault: "nothing is allow-listed and no queue is configured",
    writes: true,
    async make() {
      await sql("delete from topics");
      world.configure({ SQS_QUEUE_URLS: "" });
    },
    area: "configuration",
    what: /No topic is allow-listed and no queue is configured/,
    remedy: /fanmail topics add/,
  },
  {
    code: "region-other",
    fault: "AWS_REGION differs from the region of the topic",
    make: () => world.configure({ AWS_REGION: "us-east-1" }),
    area: "configuration",
    what: /AWS_REGION is us-east-1, but the topic .*ses-events is in eu-west-1/,
    remedy: /AWS_REGION=eu-west-1/,
  },
  {
    code: "local-certificates",
    fault: "locally signed messages are accepted",
    make: () => world.configure({ SNS_LOCAL_CERTS: "https://sns.eu-west-1.amazonaws.com/x.pem=/nowhere" }),
    area: "configuration",
    what: /SNS_LOCAL_CERTS is set/,
    remedy: /Unset SNS_LOCAL_CERTS/,
  },
  {
    code: "host-loopback",
    fault: "it only listens on localhost, and there is no queue",
    make: () => world.configure({ SQS_QUEUE_URLS: "" }),
    area: "configuration",
    what: /HOST is 127\.0\.0\.1/,
    remedy: /HOST=0\.0\.0\.0/,
  },
  {
    code: "bootstrap-key",
    fault: "BOOTSTRAP_API_KEY is set",
    make: () => world.configure({ BOOTSTRAP_API_KEY: `sk_proj_${"x".repeat(40)}` }),
    area: "configuration",
    what: /BOOTSTRAP_API_KEY is set/,
    remedy: /fanmail keys create --scopes/,
  },
  {
    code: "api-keys-none-valid",
    fault: "all API keys are revoked",
    writes: true,
    make: () => sql("update api_keys set revoked_at = now()"),
    area: "configuration",
    what: /no valid API key/,
    remedy: /fanmail keys create/,
  },
  {
    code: "region-other",
    fault: "the queue is in another region",
    make: () => world.configure({ SQS_QUEUE_URLS: queueUrl.replace("eu-west-1", "us-east-1") }),
    area: "configuration",
    what: /but the queue https:\/\/sqs\.us-east-1\.amazonaws\.com\/123456789012\/fanmail is in us-east-1/,
    remedy: /AWS_REGION=us-east-1/,
  },
  {
    code: "clock-far-off",
    fault: "this clock is ten minutes ahead",
    make() {
      const now = () => new Date(Date.now() + 600_000);
      world.patient = { ...world.patient, clock: { ...systemClock, now } };
    },
    area: "clock",
    what: /Our clock is (9|10) minutes ahead of the database's/,
    remedy: /timedatectl set-ntp true/,
  },
  {
    code: "clock-off",
    fault: "this clock is ten seconds behind that of AWS",
    make() {
      const now = () => new Date(Date.now() - 10_000);
      world.patient = { ...world.patient, clock: { ...systemClock, now } };
    },
    area: "clock",
    what: /Our clock is \d+ seconds behind that of sns\.eu-west-1\.amazonaws\.com/,
    remedy: /NTP/,
  },
  {
    code: "certificate-host-away",
    fault: "a firewall refuses connections to the certificate host",
    make: async () => through({ port: await closedPort() }),
    area: "certificate",
    what: /sns\.eu-west-1\.amazonaws\.com refuses or drops the connection .*ECONNREFUSED/,
    remedy: /outgoing TCP to port 443/,
  },
  {
    code: "certificate-host-away",
    fault: "the name of the host is not found",
    make: () => through({ hostname: "sns.eu-west-1.invalid" }),
    area: "certificate",
    what: /is not found by DNS/,
    remedy: /name servers/,
  },
  {
    code: "certificate-host-away",
    fault: "a proxy intercepts TLS",
    make: () => through({ port: world.certificates.port }),
    area: "certificate",
    what: /a TLS certificate that is not trusted/,
    remedy: /NODE_EXTRA_CA_CERTS/,
  },
  {
    code: "certificate-host-away",
    fault: "the certificate host never answers",
    async make() {
      world.patient = { ...world.patient, timeoutMs: 1_500 };
      await through({ port: await silentPort() });
    },
    area: "certificate",
    what: /does not answer in time/,
    remedy: /NAT gateway/,
  },
]);

/** Connects every host to `place`, and trusts what the machine trusts. */
async function through(place: { hostname?: string; port?: number }): Promise<void> {
  const connect = buildConnector({});
  const dispatcher = new Agent({
    connect: (options, callback) =>
      connect(
        { ...options, hostname: place.hostname ?? "127.0.0.1", port: String(place.port ?? 443) },
        callback,
      ),
  });
  later(() => dispatcher.destroy());
  world.patient = { ...world.patient, dispatcher };
}

/** A port that accepts connections and never answers. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => later(async () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  later(async () => server.close());
  return (server.address() as AddressInfo).port;
}
