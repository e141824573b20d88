import { expect, it } from "vitest";
import { replacement } from "../../src/kafka/handlers/alter-configs.ts";

it("replaces all configs of a topic by those that AlterConfigs names, but for what never changes", () => {
  const configs = { "retention.ms": "1", "segment.bytes": "2000", "edgelog.jurisdiction": "eu" };
  expect(replacement({ configs }, [{ name: "retention.ms", value: "5" }])).toEqual({
    "retention.ms": "5",
    "segment.bytes": null,
  });
  const moved = [{ name: "edgelog.jurisdiction", value: "fedramp" }];
  expect(replacement({ configs }, moved)).toMatchObject({ "edgelog.jurisdiction": "fedramp" });
});
