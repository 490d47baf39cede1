import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { insertStatuses } from "../../../src/storage/account-statuses.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { recommendation, sendingStatus } from "../../support/eventbridge.ts";
import { closedPort, destination, mySet, sql, testFaults, world } from "./faults.ts";

testFaults([
  {
    code: "destination-disabled",
    fault: "the event destination is disabled",
    make() {
      destination().Enabled = false;
    },
    area: "ses",
    what: /event destination fanmail of the configuration set my-set is disabled/,
    remedy: /fanmail ses connect --configuration-set my-set/,
  },
  {
    code: "destination-incomplete",
    fault: "the event destination leaves events out",
    make() {
      destination().MatchingEventTypes = destination().MatchingEventTypes.filter(
        (type) => !/OPEN|BOUNCE/.test(type),
      );
    },
    area: "ses",
    what: /leaves out BOUNCE, OPEN, so these never arrive/,
    remedy: /MatchingEventTypes/,
  },
  {
    code: "destination-none",
    fault: "no configuration set publishes to the topic, and nothing came from it",
    writes: true,
    async make() {
      mySet().destinations = [];
      await sql("update topics set last_notification_at = null");
    },
    area: "ses",
    what: /No configuration set in eu-west-1 publishes to a topic that is allow-listed/,
    remedy: /fanmail ses connect/,
  },
  {
    code: "aws-missing",
    fault: "the given configuration set does not exist",
    make() {
      world.patient = { ...world.patient, configurationSet: "other" };
    },
    area: "ses",
    what: /no such thing as the configuration set other/,
    remedy: /name, account and region/,
  },
  {
    code: "sandbox",
    fault: "the account is in the sandbox",
    make() {
      world.aws.account.account.ProductionAccessEnabled = false;
    },
    area: "ses",
    what: /in the sandbox in eu-west-1/,
    remedy: /production access/,
  },
  {
    code: "global-endpoint-unheard",
    fault: "a global endpoint sends from a region without a topic",
    make() {
      world.aws.account.globalEndpoints = [
        { EndpointName: "both", Status: "READY", Regions: ["eu-west-1", "us-east-1"] },
        { EndpointName: "gone", Status: "DELETING", Regions: ["eu-west-1", "us-west-2"] },
      ];
    },
    area: "ses",
    what: /^The global endpoint both sends from eu-west-1 and us-east-1, and no topic in us-east-1 is allow-listed/,
    remedy: /ses connect --regions eu-west-1,us-east-1/,
  },
  {
    code: "aws-denied",
    fault: "global endpoints may not be read",
    make: () => world.aws.account.denied.push("ses:ListMultiRegionEndpoints"),
    area: "ses",
    what: /denies access to global endpoints in eu-west-1/,
    remedy: /ses:ListMultiRegionEndpoints/,
  },
  {
    code: "sending-paused",
    fault: "sending is paused",
    make() {
      world.aws.account.account.SendingEnabled = false;
      mySet().isSending = false;
    },
    area: "ses",
    what: /Sending is paused for the SES account in eu-west-1/,
    remedy: /put-account-sending-attributes/,
  },
  {
    code: "configuration-sets-unread",
    fault: "SES answers too slowly to read all configuration sets",
    make() {
      world.aws.account.configurationSets["another"] = { isSending: true, destinations: [] };
      world.aws.account.unanswered.push("ses:GetConfigurationSetEventDestinations another");
      world.patient = { ...world.patient, timeoutMs: 3_000 };
    },
    area: "ses",
    what: /In the time given, 1 of 2 configuration sets in eu-west-1 were looked at/,
    remedy: /--configuration-set <name>/,
  },
  {
    code: "aws-unreachable",
    fault: "AWS cannot be reached",
    make: async () => world.configure({ AWS_ENDPOINT_URL: `http://127.0.0.1:${await closedPort()}` }),
    area: "ses",
    what: /AWS could not be reached to look at the SES account in eu-west-1: .*ECONNREFUSED/,
    remedy: /network/,
  },
  {
    code: "account-disabled",
    fault: "SES has disabled sending of the account",
    writes: true,
    make: () => said(sendingStatus("Disabled", { resources: [] })),
    area: "ses",
    what: /sending disabled for account 123456789012 in us-east-1 since 2026-11-20T10:00:07\.000Z: High bounce rate\.$/,
    remedy: /console of SES in us-east-1/,
  },
  {
    code: "tenant-disabled",
    fault: "SES has disabled sending of a tenant; that it was enabled before is reported later",
    writes: true,
    make: () => said(sendingStatus("Disabled"), sendingStatus("Enabled", { time: "2026-11-20T10:00:06Z" })),
    area: "ses",
    what: /sending disabled for the tenant acme of account 123456789012/,
    remedy: /Tenants/,
  },
  {
    code: "account-recommendation",
    fault: "a recommendation is open, while another one is resolved",
    writes: true,
    make: () =>
      said(
        recommendation("Open"),
        recommendation("Open", { detail: { data: "DKIM is missing.", metadata: { type: "DKIM" } } }),
        recommendation("Resolved", {
          time: "2026-11-21T10:00:00Z",
          detail: { data: "Well.", metadata: { type: "DKIM", impact: "LOW" } },
        }),
      ),
    area: "ses",
    what: /^Amazon SES has an open HIGH BOUNCE recommendation for arn:aws:ses:us-east-1:123456789012:identity\/example\.com/,
    remedy: /Virtual Deliverability Manager/,
  },
]);

/** Stores what EventBridge reports. */
function said(...events: Record<string, unknown>[]): Promise<unknown> {
  const rows = events.flatMap((event) => {
    const read = interpretNotification(
      defaultProjectId,
      JSON.stringify({ Message: JSON.stringify(event) }),
      new Date(),
    );
    return read.kind === "account_status" ? [{ project_id: defaultProjectId, ...read.status }] : [];
  });
  return insertStatuses(world.database.db, rows);
}
