/** The queue of webhooks in the usual build. */
export const deliveryQueueName = "webhooks";

/** Everything that a post needs. @property secret as `whsec_…`. */
export type DeliveryJob = { id: string; eventId: string; url: string; secret: string; body: string };

export const deliveryOptions = {
  attempts: 8,
  backoff: { type: "exponential", delay: 5_000 },
  removeOnComplete: true,
  removeOnFail: { count: 10_000 },
};

export const deliveryTable = `
  create table usual_deliveries (
    id uuid primary key,
    endpoint_id uuid not null,
    event_id uuid not null,
    state text not null,
    attempts integer not null default 0,
    last_status integer,
    created_at timestamptz not null default now(),
    finished_at timestamptz
  ) with (fillfactor = 80);
  create index on usual_deliveries (endpoint_id, created_at desc, id desc);`;

export const recordDelivery = `
  update usual_deliveries set state = $2, attempts = attempts + 1, last_status = $3, finished_at = now()
  where id = $1`;
