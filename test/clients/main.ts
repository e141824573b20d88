/**
 * Runs clients that others wrote against `edgelog serve`, and prints a table of what became of it:
 *
 *     npm run test:clients -- [--records 100000] [--only kcat,kafkajs] [--route tcp,sasl,tunnel]
 *
 * Every client produces with every codec that it has and consumes it again; what it produced is read over HTTP and
 * WebSocket, and what came over HTTP is consumed by it: the hashes of keys, values and headers must be the same. A client
 * that is not installed is named, with what it needs; see confluent.ts and java-tools.ts.
 */

import { parseArgs } from "node:util";
import { type Client, CODECS, type Target } from "./client.ts";
import { ROUTES, type Route, startCluster } from "./cluster.ts";
import { confluentClient } from "./confluent.ts";
import { consumeOverHttp, consumeOverWebSocket, createTopic, produceOverHttp } from "./http.ts";
import { javaClient } from "./java.ts";
import { kafkajsClient } from "./kafkajs.ts";
import { kcatClient } from "./kcat.ts";
import { keysByPartition } from "./partitioners.ts";
import { platformaticClient } from "./platformatic.ts";
import { oddRecords, sameRecords, type TestRecord, textRecords } from "./records.ts";
import { tableLine } from "./table.ts";

const CLIENTS: readonly Client[] = [
  kcatClient,
  kafkajsClient,
  platformaticClient,
  confluentClient,
  javaClient,
];
const PARTITIONS = 3;
const ROW_MS_MAX = 300_000;

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "100000" },
    only: { type: "string" },
    route: { type: "string", default: ROUTES.join(",") },
  },
});
const count = Number(values.records);
const routes = values.route.split(",").map(routeNamed);
const missing: string[] = [];
let failures = 0;

const installed: { readonly client: Client; readonly label: string }[] = [];
for (const client of CLIENTS) {
  if (values.only !== undefined && !values.only.split(",").some((name) => client.name.includes(name)))
    continue;
  const found = await client.installed();
  if ("missing" in found) missing.push(`${client.name}: needs ${found.missing}`);
  else installed.push({ client, label: `${client.name} ${found.version}` });
}
console.log(tableLine());
for (const route of routes) {
  const { target, stop } = await startCluster(route);
  try {
    await runAll(target);
  } finally {
    await stop();
  }
}
for (const line of missing) console.log(`NOT RUN  ${line}`);
console.log(failures === 0 ? "Everything that was run is as it must be." : `${failures} of these failed.`);
process.exit(failures === 0 ? 0 : 1);

async function runAll(target: Target): Promise<void> {
  const { route } = target;
  const overHttp = `http-${route}`;
  const text = textRecords("http", count);
  const odd = oddRecords();
  const add = rowPrinter("HTTP", route);
  await createTopic(target, overHttp, PARTITIONS);
  await createTopic(target, `${overHttp}-odd`, 1);
  await add("produce, consume", text, async () => {
    await produceOverHttp(target, overHttp, text);
    return consumeOverHttp(target, overHttp);
  });
  await add("WebSocket", text, () => consumeOverWebSocket(target, overHttp, count));
  await add("nulls, empty, bytes", odd, async () => {
    await produceOverHttp(target, `${overHttp}-odd`, odd);
    return consumeOverHttp(target, `${overHttp}-odd`);
  });
  const keys = await keysByPartition(target, "HTTP", CLIENTS.length);
  for (const { client, label } of installed) await runClient(target, client, label, keys);
}

async function runClient(target: Target, client: Client, label: string, keys: string): Promise<void> {
  const { route } = target;
  const index = CLIENTS.indexOf(client);
  const add = rowPrinter(label, route);
  const records = textRecords(`client-${index}`, count);
  for (const codec of CODECS.filter((one) => client.codecs.includes(one))) {
    const topic = topicOf(index, route, codec);
    await createTopic(target, topic, PARTITIONS);
    await add(`${codec}: produce, consume`, records, async () => {
      await client.produce(target, topic, records, codec);
      return client.consume(target, topic, count);
    });
    await add(`${codec}: read over HTTP`, records, () => consumeOverHttp(target, topic));
    await add(`${codec}: read over WebSocket`, records, () => consumeOverWebSocket(target, topic, count));
  }
  const text = textRecords("http", count);
  await add("consume what came over HTTP", text, () => client.consume(target, `http-${route}`, count));
  if (client.isBinary) {
    const odd = oddRecords();
    const topic = `odd-${index}-${route}`;
    await createTopic(target, topic, 1);
    const sent = client.sendsNullForEmpty ? odd.map(withNullForEmpty) : odd;
    await add("nulls, empty, bytes: produce, read over HTTP", sent, async () => {
      await client.produce(target, topic, odd, "none");
      return consumeOverHttp(target, topic);
    });
    await add("nulls, empty, bytes: consume what came over HTTP", odd, () =>
      client.consume(target, `http-${route}-odd`, odd.length),
    );
  }
  await add("keys are in the same partitions as over HTTP", undefined, async () => {
    const own = await keysByPartition(target, client, index);
    if (own !== keys) throw new Error("they are not");
    return "";
  });
  for (const { what, run } of client.checks) {
    await add(what, undefined, () => run(target, topicOf(index, route, "none")));
  }
}

function withNullForEmpty({ key, value, headers }: TestRecord): TestRecord {
  return { key: key?.length ? key : null, value: value?.length ? value : null, headers };
}

function topicOf(index: number, route: string, codec: string): string {
  return `client-${index}-${codec}-${route}`;
}

/** Runs it, prints its row, and goes on whatever became of it. */
function rowPrinter(client: string, route: string) {
  return async <T extends readonly TestRecord[] | string | undefined>(
    what: string,
    expected: readonly TestRecord[] | undefined,
    run: () => Promise<T>,
  ): Promise<void> => {
    const startMs = performance.now();
    const row = { client, route, what, records: expected === undefined ? "" : String(expected.length) };
    const line = (sha256: string, result: string) => {
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
      console.log(tableLine({ ...row, sha256, seconds, result }));
    };
    try {
      const came = await withinLimit(run());
      if (expected !== undefined && Array.isArray(came)) line(sameRecords(came, expected).slice(0, 12), "ok");
      else line("", came ? `ok: ${came}` : "ok");
    } catch (error) {
      failures++;
      line("", `FAILED: ${error instanceof Error ? error.message : error}`);
    }
  };
}

async function withinLimit<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no end within ${ROW_MS_MAX / 1_000} s`)), ROW_MS_MAX);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

function routeNamed(name: string): Route {
  const route = ROUTES.find((known) => known === name);
  if (route === undefined) throw new Error(`a route is one of ${ROUTES.join(", ")}`);
  return route;
}
