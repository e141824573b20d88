/**
 * A Worker that writes down every request it gets, in the topic `hits` of a cluster that it reaches by a service binding.
 *
 * - `GET /hits`: the newest ones
 * - `GET /live`: an event stream of them as they come
 * - any other path is a hit
 */

import type { EdgelogService, LogRecord } from "../../src/client/index.ts"; // In your own project: from "edgelog".

interface Env {
  readonly EDGELOG: EdgelogService;
}

const TOPIC = "hits";

export default {
  async fetch(request, { EDGELOG }) {
    const { pathname } = new URL(request.url);
    if (pathname === "/hits") return newest(EDGELOG);
    if (pathname === "/live") return live(EDGELOG);
    const value = JSON.stringify({ method: request.method, agent: request.headers.get("user-agent") });
    const [stored] = await EDGELOG.produce(TOPIC, { key: pathname, value });
    return Response.json(stored);
  },
} satisfies ExportedHandler<Env>;

async function newest(edgelog: EdgelogService): Promise<Response> {
  const { highWatermark } = await edgelog.fetchRecords(TOPIC, 0, { from: "latest" });
  const { records } = await edgelog.fetchRecords(TOPIC, 0, { from: Math.max(0, highWatermark - 10) });
  return new Response(records.map(line).join(""));
}

/** Takes the next records when the client has taken those before. */
async function live(edgelog: EdgelogService): Promise<Response> {
  const subscription = await edgelog.subscribe(TOPIC);
  const encoder = new TextEncoder();
  let events = ": listening\n\n";
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (events === "") {
          // A comment now and then tells whether the client is still there.
          const next = await subscription.next({ maxWaitMs: 10_000 });
          events = next === undefined ? ":\n\n" : next.records.map((hit) => `data: ${line(hit)}\n`).join("");
        }
        controller.enqueue(encoder.encode(events));
        events = "";
      },
      cancel: () => subscription[Symbol.dispose](),
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const decoder = new TextDecoder();

function line({ timestamp, key, value }: LogRecord): string {
  const text = (bytes: Uint8Array | null) => (bytes === null ? "-" : decoder.decode(bytes));
  return `${new Date(timestamp).toISOString()} ${text(key)} ${text(value)}\n`;
}
