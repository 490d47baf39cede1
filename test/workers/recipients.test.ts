import { expect } from "vitest";
import { findOrMakeRecipients } from "../../src/storage/recipients.ts";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";

const test = projectTest({ roles: { receiver: false, workers: false } });

const recipients = ({ select }: TestProject) =>
  select<{ id: string; address: string }>("select id, address from recipients order by address");

test("everyone who is written to is a recipient, once", async ({ project }) => {
  await project.apply(
    sesEvent("Send", { messageId: "message-1", to: ["Jane@Example.com", "joe@example.com"] }),
    sesEvent("Send", { messageId: "message-2", to: ["jane@example.com"] }),
  );
  const made = await recipients(project);

  await project.apply(sesEvent("Send", { messageId: "message-3", to: ["JANE@example.com"] }));

  expect(made.map(({ address }) => address)).toEqual(["jane@example.com", "joe@example.com"]);
  expect(await recipients(project)).toEqual(made);
});

test("who is known from custom events stays the same recipient", async ({ project, service }) => {
  const known = {
    project_id: project.id,
    id: service.context.clock.newId(),
    address: "kim@example.com",
  };
  await findOrMakeRecipients(service.context.db, [known]);

  await project.apply(sesEvent("Send", { messageId: "message-4", to: ["kim@example.com"] }));

  expect(await recipients(project)).toContainEqual({ id: known.id, address: known.address });
});

test("what arrives without the send makes the recipient too", async ({ project }) => {
  await project.apply(sesEvent("Open", { messageId: "message-5", to: ["lea@example.com"], after: 60 }));

  expect((await recipients(project)).map(({ address }) => address)).toContain("lea@example.com");
});
