import { afterAll, beforeAll, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { findOrMakeRecipients } from "../../src/storage/recipients.ts";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const recipients = () =>
  database.db.query<{ id: string; address: string }>("select id, address from recipients order by address");

test("everyone who is written to is a recipient, once", async () => {
  await apply(
    service,
    sesEvent("Send", { messageId: "message-1", to: ["Jane@Example.com", "joe@example.com"] }),
    sesEvent("Send", { messageId: "message-2", to: ["jane@example.com"] }),
  );
  const made = await recipients();

  await apply(service, sesEvent("Send", { messageId: "message-3", to: ["JANE@example.com"] }));

  expect(made.map(({ address }) => address)).toEqual(["jane@example.com", "joe@example.com"]);
  expect(await recipients()).toEqual(made);
});

test("who is known from custom events stays the same recipient", async () => {
  const known = {
    project_id: defaultProjectId,
    id: service.context.clock.newId(),
    address: "kim@example.com",
  };
  await findOrMakeRecipients(database.db, [known]);

  await apply(service, sesEvent("Send", { messageId: "message-4", to: ["kim@example.com"] }));

  expect(await recipients()).toContainEqual({ id: known.id, address: known.address });
});

test("what arrives without the send makes the recipient too", async () => {
  await apply(service, sesEvent("Open", { messageId: "message-5", to: ["lea@example.com"], after: 60 }));

  expect((await recipients()).map(({ address }) => address)).toContain("lea@example.com");
});
