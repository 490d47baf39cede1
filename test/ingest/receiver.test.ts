import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

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

describe("POST /ingest/sns", () => {
  test.each(["1", "2"])(
    "accepts a notification signed with scheme %s, and stores it once",
    async (version) => {
      const message = service.signer.notification(asMessage(sesEvent("Send", { messageId: `v${version}` })), {
        SignatureVersion: version,
      });

      const first = await service.ingest(message);
      const second = await service.ingest(message);

      expect([first.status, await first.json()]).toEqual([200, { status: "stored" }]);
      expect([second.status, await second.json()]).toEqual([200, { status: "duplicate" }]);
      const rows = await database.db.query("select 1 from notifications where sns_message_id = $1", [
        message["MessageId"],
      ]);
      expect(rows).toHaveLength(1);
      await until("the activity is there", async () => {
        const answer = await service.get("/v1/activity?email=jane@example.com");
        const { data } = (await answer.json()) as { data: { message_id: string }[] };
        return data.some(({ message_id }) => message_id === `v${version}`);
      });
    },
  );
});
