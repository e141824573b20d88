import { describe, expect, test } from "vitest";
import { answer, newTopic, produce, refusal, request, send } from "./http.ts";

const name = () => `t-${crypto.randomUUID()}`;

describe("creating a topic", () => {
  test("answers with it and where it is", async () => {
    const topic = name();
    const body = {
      name: topic,
      partitions: 3,
      configs: { "retention.ms": 1_000, "remote.storage.enable": false },
    };
    const response = await send("POST", "/v1/topics", body);
    expect(response.headers.get("location")).toBe(`/v1/topics/${topic}`);
    const created = await answer(response, 201);
    expect(created).toEqual({
      name: topic,
      id: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      partitions: 3,
      configs: { "retention.ms": "1000", "remote.storage.enable": "false" },
      created_at_ms: expect.any(Number),
    });
    expect(await answer(request(`/v1/topics/${topic}`))).toMatchObject(created);
  });

  test("takes the cluster's defaults where nothing is said", async () => {
    expect(await answer(send("POST", "/v1/topics", { name: name() }), 201)).toMatchObject({
      partitions: 1,
      configs: {},
    });
  });

  test("with validate_only creates nothing", async () => {
    const topic = name();
    await answer(send("POST", "/v1/topics", { name: topic, validate_only: true }), 200);
    await refusal(request(`/v1/topics/${topic}`), 404);
  });

  test("under a name that exists is refused", async () => {
    expect(await refusal(send("POST", "/v1/topics", { name: await newTopic() }), 409)).toBe(
      "TOPIC_ALREADY_EXISTS",
    );
  });

  const wrong: [what: string, body: object, code: string][] = [
    ["without a name", {}, "INVALID_REQUEST"],
    ["with a name that is no string", { name: 1 }, "INVALID_REQUEST"],
    ["with an empty name", { name: "" }, "INVALID_TOPIC_EXCEPTION"],
    ["with an illegal name", { name: "a b" }, "INVALID_TOPIC_EXCEPTION"],
    ["with too long a name", { name: "a".repeat(250) }, "INVALID_TOPIC_EXCEPTION"],
    ["without partitions", { name: "x", partitions: 0 }, "INVALID_PARTITIONS"],
    ["with too many partitions", { name: "x", partitions: 1_000_001 }, "INVALID_PARTITIONS"],
    ["with half a partition", { name: "x", partitions: 1.5 }, "INVALID_REQUEST"],
    ["with partitions in words", { name: "x", partitions: "two" }, "INVALID_REQUEST"],
    ["with an unknown config", { name: "x", configs: { "retention.hours": "1" } }, "INVALID_CONFIG"],
    ["with a config that is no number", { name: "x", configs: { "retention.ms": "long" } }, "INVALID_CONFIG"],
    [
      "with a config that is not honoured",
      { name: "x", configs: { "cleanup.policy": "compact" } },
      "INVALID_CONFIG",
    ],
    ["with a config that is null", { name: "x", configs: { "retention.ms": null } }, "INVALID_REQUEST"],
    ["with configs in a list", { name: "x", configs: ["retention.ms"] }, "INVALID_REQUEST"],
    ["with an unknown member", { name: "x", partition: 1 }, "INVALID_REQUEST"],
  ];
  test.each(wrong)("%s is refused", async (_what, body, code) => {
    expect(await refusal(send("POST", "/v1/topics", body), 400)).toBe(code);
    await refusal(request("/v1/topics/x"), 404);
  });

  test("with a config named __proto__ is refused", async () => {
    const body = '{"name":"x","configs":{"__proto__":"1"}}';
    const headers = { "content-type": "application/json" };
    expect(await refusal(request("/v1/topics", { method: "POST", headers, body }), 400)).toBe(
      "INVALID_CONFIG",
    );
  });
});

test("topics are listed by name, page by page", async () => {
  const prefix = `list-${crypto.randomUUID()}`;
  for (const suffix of ["c", "a", "b"])
    await answer(send("POST", "/v1/topics", { name: `${prefix}-${suffix}` }), 201);
  const first = await answer(request(`/v1/topics?limit=2&after=${prefix}`));
  expect(first.topics.map((topic: { name: string }) => topic.name)).toEqual([`${prefix}-a`, `${prefix}-b`]);
  expect(first.next_after).toBe(`${prefix}-b`);
  const second = await answer(request(`/v1/topics?limit=1&after=${first.next_after}`));
  expect(second.topics[0].name).toBe(`${prefix}-c`);
  expect((await answer(request("/v1/topics?after=zzzz"))).next_after).toBeNull();
});

test.each(["limit=0", "limit=1001", "limit=x", "page=1", "limit=1&limit=2"])(
  "a list with %s is refused",
  async (query) => {
    expect(await refusal(request(`/v1/topics?${query}`), 400)).toBe("INVALID_REQUEST");
  },
);

describe("describing a topic", () => {
  test("shows every config, with its default and what is in effect", async () => {
    const topic = await newTopic(1, { "segment.bytes": "1073741824", "retention.ms": "5" });
    const { config_entries: entries } = await answer(request(`/v1/topics/${topic}`));
    const entry = (name: string) => entries.find((config: { name: string }) => config.name === name);
    expect(entry("retention.ms")).toMatchObject({
      value: "5",
      default: "604800000",
      is_default: false,
      type: "long",
    });
    expect(entry("max.message.bytes")).toMatchObject({ value: "1048588", is_default: true });
    expect(entry("max.message.bytes").effective_value).toBeUndefined();
    expect(entry("segment.bytes")).toMatchObject({ value: "1073741824", effective_value: "67108864" });
  });

  test("that does not exist or cannot is refused", async () => {
    expect(await refusal(request("/v1/topics/unknown"), 404)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    expect(await refusal(request("/v1/topics/a%20b"), 400)).toBe("INVALID_TOPIC_EXCEPTION");
    expect(await refusal(request("/v1/topics/a%2Fb"), 400)).toBe("INVALID_TOPIC_EXCEPTION");
    expect(await refusal(request("/v1/topics/%ff"), 400)).toBe("INVALID_TOPIC_EXCEPTION");
  });
});

describe("changing a topic", () => {
  test("adds partitions and sets and resets configs", async () => {
    const topic = await newTopic(2, { "retention.ms": "5", "segment.ms": "6" });
    const change = { partitions: 4, configs: { "retention.ms": null, "segment.ms": "7" } };
    expect(await answer(send("PATCH", `/v1/topics/${topic}`, change))).toMatchObject({
      partitions: 4,
      configs: { "segment.ms": "7" },
    });
    expect((await answer(request(`/v1/topics/${topic}`))).configs).toEqual({ "segment.ms": "7" });
    await answer(produce(topic, { records: [{ value: "a", partition: 3 }] }));
  });

  test("changes nothing when any part of it is refused", async () => {
    const topic = await newTopic(2);
    const fewer = { partitions: 1, configs: { "retention.ms": "5" } };
    expect(await refusal(send("PATCH", `/v1/topics/${topic}`, fewer), 400)).toBe("INVALID_PARTITIONS");
    const unknown = { partitions: 3, configs: { nonsense: "5" } };
    expect(await refusal(send("PATCH", `/v1/topics/${topic}`, unknown), 400)).toBe("INVALID_CONFIG");
    expect(await refusal(send("PATCH", `/v1/topics/${topic}`, {}), 400)).toBe("INVALID_REQUEST");
    expect(await answer(request(`/v1/topics/${topic}`))).toMatchObject({ partitions: 2, configs: {} });
  });

  test("with validate_only changes nothing", async () => {
    const topic = await newTopic(1);
    const change = { partitions: 2, configs: { "retention.ms": "5" }, validate_only: true };
    await answer(send("PATCH", `/v1/topics/${topic}`, change));
    expect(await answer(request(`/v1/topics/${topic}`))).toMatchObject({ partitions: 1, configs: {} });
  });
});

test("a deleted topic is gone, and one created after it is another", async () => {
  const topic = await newTopic(1);
  await answer(produce(topic, { records: [{ value: "a" }] }));
  const response = await send("DELETE", `/v1/topics/${topic}`);
  expect([response.status, await response.text()]).toEqual([204, ""]);
  expect(await refusal(request(`/v1/topics/${topic}`), 404)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await refusal(send("DELETE", `/v1/topics/${topic}`), 404)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  expect(await refusal(request(`/v1/topics/${topic}/partitions/0/records`), 404)).toBe(
    "UNKNOWN_TOPIC_OR_PARTITION",
  );
  await answer(send("POST", "/v1/topics", { name: topic }), 201);
  expect(await answer(request(`/v1/topics/${topic}/partitions/0/records`))).toMatchObject({
    records: [],
    next_offset: 0,
  });
});

test("the cluster counts its topics and partitions", async () => {
  const before = await answer(request("/v1/cluster"));
  await newTopic(7);
  const after = await answer(request("/v1/cluster"));
  expect(after).toEqual({
    cluster_id: before.cluster_id,
    topics: before.topics + 1,
    partitions: before.partitions + 7,
    groups: before.groups,
    principal: "User:ANONYMOUS",
  });
});

test("metrics are Prometheus text, with routes as patterns", async () => {
  const topic = await newTopic();
  await answer(produce(topic, { records: [{ value: "a" }] }));
  await refusal(request(`/v1/topics/${topic}/partitions/9`), 404);
  const text = await (await request("/metrics")).text();
  expect(text).toMatch(/^# TYPE edgelog_topics gauge\nedgelog_topics \d+$/m);
  expect(text).toMatch(/^edgelog_isolate_records_produced_total\{isolate_id="[^"]+"\} [1-9]\d*$/m);
  expect(text).toMatch(/method="GET",route="\/v1\/topics\/:topic\/partitions\/:partition",status="404"/);
  expect(text).not.toContain(topic);
  for (const line of text.trimEnd().split("\n")) {
    expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+)$/);
  }
});

test("paths that do not exist and methods that a path does not know are told apart", async () => {
  expect(await refusal(request("/"), 404)).toBe("NOT_FOUND");
  expect(await refusal(request("/v1/topics/a/b"), 404)).toBe("NOT_FOUND");
  expect(await refusal(request("/v1/topics/"), 404)).toBe("NOT_FOUND");
  const response = await send("PUT", "/v1/topics/a");
  expect(response.headers.get("allow")).toBe("DELETE, GET, HEAD, PATCH");
  expect(await refusal(response, 405)).toBe("METHOD_NOT_ALLOWED");
  expect(await refusal(send("GET", "/v1/tickets"), 405)).toBe("METHOD_NOT_ALLOWED");
  expect(await refusal(send("DELETE", "/v1/topics"), 405)).toBe("METHOD_NOT_ALLOWED");
});

test("a HEAD is answered like a GET, without a body", async () => {
  const response = await request("/v1/cluster", { method: "HEAD" });
  expect([response.status, await response.text()]).toEqual([200, ""]);
});
