/** Requests to the Worker as it runs in this test's workerd. */

import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { Env } from "../../src/env.ts";
import worker from "../../src/worker.ts";

export const ORIGIN = "http://localhost:8787";

/** Straight to the Worker's handler, so that a test may choose the variables. */
export async function request(
  path: string,
  init: RequestInit<IncomingRequestCfProperties> = {},
  variables: Partial<Env> = {},
  origin = ORIGIN,
): Promise<Response> {
  const incoming = new Request<unknown, IncomingRequestCfProperties>(`${origin}${path}`, init);
  return worker.fetch(incoming, { ...env, ...variables }, createExecutionContext());
}

export function send(
  method: string,
  path: string,
  json?: unknown,
  variables?: Partial<Env>,
): Promise<Response> {
  const body =
    json === undefined ? {} : { body: JSON.stringify(json), headers: { "content-type": "application/json" } };
  return request(path, { method, ...body }, variables);
}

/** The answer's JSON, of whatever form; a test says what it expects of it. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every form
export async function answer(response: Response | Promise<Response>, status = 200): Promise<any> {
  const answered = await response;
  const text = await answered.text();
  expect({ status: answered.status, text }).toMatchObject({ status });
  return JSON.parse(text);
}

/** The error's name, with the status that it must have come with. */
export async function refusal(response: Response | Promise<Response>, status: number): Promise<string> {
  const { error } = await answer(response, status);
  expect(error).toEqual({ code: error.code, message: expect.any(String), retriable: expect.any(Boolean) });
  expect(error.message).not.toBe("");
  return error.code;
}

let topics = 0;

/** A topic of the test's own. */
export async function newTopic(partitions = 1, configs: Record<string, string> = {}): Promise<string> {
  const name = `topic-${++topics}-${crypto.randomUUID()}`;
  await answer(send("POST", "/v1/topics", { name, partitions, configs }), 201);
  return name;
}

export function produce(topic: string, body: unknown, query = ""): Promise<Response> {
  return send("POST", `/v1/topics/${topic}/records${query}`, body);
}

export function consume(
  topic: string,
  query = "",
  accept = "application/json",
  partition = 0,
): Promise<Response> {
  return request(`/v1/topics/${topic}/partitions/${partition}/records${query}`, { headers: { accept } });
}
