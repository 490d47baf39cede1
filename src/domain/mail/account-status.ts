import { z } from "zod";
import { parseArn } from "../arn.ts";
import { computedId } from "../computed-id.ts";
import { canonicalJson } from "../json.ts";
import type { EventBridgeEvent } from "./eventbridge.ts";

/**
 * What SES reports about an account or a tenant rather than an email.
 * Source: "Monitoring SES events using Amazon EventBridge" and "Tenants", Amazon SES developer guide.
 */
export type AccountStatus = {
  /** As AWS names it, such as `Sending Status Disabled`. */
  detail_type: string;
  kind: "sending" | "recommendation";
  status: "enabled" | "disabled" | "open" | "resolved";
  account_id: string | null;
  region: string | null;
  /** ARNs of the affected resources. */
  resources: string[];
  /** null: the whole account. */
  tenant_name: string | null;
  /** In AWS's words: why sending was switched, or what is recommended. */
  reason: string | null;
  /** For a recommendation: `BOUNCE`, `DKIM`, …, and `HIGH` or `LOW`. */
  recommendation_type: string | null;
  impact: string | null;
  /** For sending: `CUSTOMER_MANAGED` or `AWS_MANAGED`. */
  origin: string | null;
};

/** @property id the same in every report of the same status. */
export type KnownStatus = AccountStatus & { id: string; occurred_at: Date };

/**
 * As EventBridge delivers it.
 * @property occurred_at null if the envelope has no time.
 */
export type ReportedStatus = AccountStatus & { occurred_at: Date | null };

const told = {
  "Sending Status Enabled": { kind: "sending", status: "enabled" },
  "Sending Status Disabled": { kind: "sending", status: "disabled" },
  "Advisor Recommendation Status Open": { kind: "recommendation", status: "open" },
  "Advisor Recommendation Status Resolved": { kind: "recommendation", status: "resolved" },
  // The name in AWS's announcement of tenants.
  "Advisor Recommendation Status Closed": { kind: "recommendation", status: "resolved" },
} as const;

/** Longer texts are cut; AWS writes one sentence. */
const maxTextLength = 2_000;
const maxResources = 20;

const text = z
  .string()
  .transform((one) => one.slice(0, maxTextLength).toWellFormed())
  .nullish()
  .catch(null);
const Sending = z.object({ origin: text, record: z.object({ cause: text }).nullish().catch(null) });
const Recommendation = z.object({ type: text, impact: text });
const Detail = z.object({
  data: z.union([z.string(), Sending]).nullish().catch(null),
  metadata: Recommendation.nullish().catch(null),
});

/** @returns null for any other event. Fields that the detail lacks are null. */
export function accountStatusOf(event: EventBridgeEvent): ReportedStatus | null {
  const { detailType, source, account, region, time } = event;
  if (source !== "aws.ses" || detailType === null || !isTold(detailType)) return null;
  const { data, metadata } = Detail.parse(event.detail ?? {});
  const sending = typeof data === "object" ? data : null;
  const resources = event.resources.slice(0, maxResources);
  return {
    detail_type: detailType,
    ...told[detailType],
    account_id: account,
    region,
    resources,
    tenant_name: resources.map(tenantIn).find((name) => name !== null) ?? null,
    reason: text.parse(typeof data === "string" ? data : sending?.record?.cause) ?? null,
    recommendation_type: metadata?.type ?? null,
    impact: metadata?.impact ?? null,
    origin: sending?.origin ?? null,
    occurred_at: time,
  };
}

/** Adds the id, which is the same whichever rule and target a report comes through. */
export function knownStatus(projectId: string, status: ReportedStatus, publishedAt: Date): KnownStatus {
  const { occurred_at, ...rest } = status;
  const at = occurred_at ?? publishedAt;
  return { ...rest, id: computedId(at.getTime(), [projectId, canonicalJson(rest)]), occurred_at: at };
}

function isTold(detailType: string): detailType is keyof typeof told {
  return Object.hasOwn(told, detailType);
}

/** `arn:aws:ses:us-east-1:123456789012:tenant/<name>/<id>` */
function tenantIn(arn: string): string | null {
  const { service, resource } = parseArn(arn);
  return service === "ses" ? (/^tenant\/([^/]+)/.exec(resource)?.[1] ?? null) : null;
}
