import { describe, expect, test } from "vitest";
import type { Env } from "../../src/env.ts";
import { answer, newTopic, refusal, request } from "./http.ts";

const CLOSED: Partial<Env> = { EDGELOG_OPEN: "false" };
const TOKEN = "s3cret-token";
const WITH_TOKEN: Partial<Env> = { EDGELOG_OPEN: "false", EDGELOG_ROOT_TOKEN: TOKEN };
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe("a deployment without a root token", () => {
  test.each([
    ["GET", "/v1/cluster"],
    ["GET", "/metrics"],
    ["GET", "/v1/openapi.json"],
    ["POST", "/v1/topics"],
    ["POST", "/v1/tickets"],
    ["OPTIONS", "/v1/topics"],
    ["GET", "/nowhere"],
  ])("refuses %s %s and says which secret to set", async (method, path) => {
    const response = await request(path, { method, ...bearer("anything") }, CLOSED);
    const { error } = await answer(response, 401);
    expect(error.code).toBe("SASL_AUTHENTICATION_FAILED");
    expect(error.message).toContain("npx wrangler secret put EDGELOG_ROOT_TOKEN");
  });

  test("answers on /healthz", async () => {
    expect(await answer(request("/healthz", {}, CLOSED))).toEqual({ status: "ok" });
  });

  test("is what an empty token makes too", async () => {
    const response = await request("/v1/cluster", bearer(""), {
      EDGELOG_OPEN: "false",
      EDGELOG_ROOT_TOKEN: "",
    });
    expect(await refusal(response, 401)).toBe("SASL_AUTHENTICATION_FAILED");
  });
});

describe("a deployment with a root token", () => {
  test("knows root by it", async () => {
    expect(await answer(request("/v1/cluster", bearer(TOKEN), WITH_TOKEN))).toMatchObject({
      principal: "User:root",
    });
  });

  test.each([
    {},
    { authorization: "Bearer wrong" },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: "Bearer " },
    { authorization: TOKEN },
    { authorization: `Basic ${TOKEN}` },
    { "sec-websocket-protocol": `edgelog.token.${TOKEN}` },
  ])("refuses %o", async (headers: Record<string, string>) => {
    const response = await request("/v1/cluster", { headers }, WITH_TOKEN);
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
    expect(await refusal(response, 401)).toBe("SASL_AUTHENTICATION_FAILED");
  });

  test("asks for it even where EDGELOG_OPEN is set", async () => {
    await refusal(request("/v1/cluster", {}, { EDGELOG_OPEN: "true", EDGELOG_ROOT_TOKEN: TOKEN }), 401);
  });

  test("tells nobody without it which paths exist", async () => {
    await refusal(request("/nowhere", {}, WITH_TOKEN), 401);
  });

  test("answers on /healthz without it", async () => {
    await answer(request("/healthz", {}, WITH_TOKEN));
  });

  test("takes a ticket once, on event streams and WebSockets only", async () => {
    const issue = async () =>
      (await answer(request("/v1/tickets", { method: "POST", ...bearer(TOKEN) }, WITH_TOKEN), 201)).ticket;
    await refusal(request("/v1/tickets", { method: "POST" }, WITH_TOKEN), 401);
    const ticket = await issue();
    const open = (init: RequestInit<IncomingRequestCfProperties>) =>
      request(`/nowhere?ticket=${ticket}`, init, WITH_TOKEN);
    await refusal(open({}), 401);
    await refusal(open({ headers: { accept: "text/event-stream" } }), 404);
    await refusal(open({ headers: { accept: "text/event-stream" } }), 401);
    const other = await issue();
    const socket = { headers: { upgrade: "websocket" } };
    await refusal(request(`/nowhere?ticket=${other}`, socket, WITH_TOKEN), 404);
    await refusal(request(`/nowhere?ticket=${other}`, socket, WITH_TOKEN), 401);
  });

  test("takes the token among a WebSocket's subprotocols", async () => {
    const offer = (token: string) => ({
      headers: { upgrade: "websocket", "sec-websocket-protocol": `edgelog.v1.json, edgelog.token.${token}` },
    });
    await refusal(request("/nowhere", offer(TOKEN), WITH_TOKEN), 404);
    await refusal(request("/nowhere", offer("wrong"), WITH_TOKEN), 401);
  });
});

describe("a WebSocket, where a token is asked for", () => {
  const subscribe = async (query: string, headers: Record<string, string>) =>
    request(
      `/v1/topics/${await newTopic()}/subscribe?partition=0${query}`,
      { headers: { upgrade: "websocket", ...headers } },
      WITH_TOKEN,
    );

  function opened(response: Response, subprotocol: string | null): void {
    expect([response.status, response.headers.get("sec-websocket-protocol")]).toEqual([101, subprotocol]);
    response.webSocket?.accept();
    response.webSocket?.close();
  }

  test("opens by token among the subprotocols, which is not echoed", async () => {
    opened(
      await subscribe("", { "sec-websocket-protocol": `edgelog.token.${TOKEN}, edgelog.v1.binary` }),
      "edgelog.v1.binary",
    );
  });

  test("opens by ticket, for a page of another origin too", async () => {
    const issued = await request("/v1/tickets", { method: "POST", ...bearer(TOKEN) }, WITH_TOKEN);
    const { ticket } = await answer(issued, 201);
    opened(await subscribe(`&ticket=${ticket}`, { origin: "https://app.example" }), null);
    expect(await refusal(await subscribe(`&ticket=${ticket}`, {}), 401)).toBe("SASL_AUTHENTICATION_FAILED");
  });

  test("does not open without", async () => {
    expect(await refusal(await subscribe("", {}), 401)).toBe("SASL_AUTHENTICATION_FAILED");
  });

  test("of a group's member opens in the same ways, and not without", async () => {
    const join = (query: string, headers: Record<string, string>) =>
      request(
        `/v1/groups/guarded/subscribe${query}`,
        { headers: { upgrade: "websocket", ...headers } },
        WITH_TOKEN,
      );
    const offered = `edgelog.token.${TOKEN}, edgelog.v1.json`;
    opened(await join("", { "sec-websocket-protocol": offered }), "edgelog.v1.json");
    const issued = await request("/v1/tickets", { method: "POST", ...bearer(TOKEN) }, WITH_TOKEN);
    const { ticket } = await answer(issued, 201);
    opened(await join(`?ticket=${ticket}`, { origin: "https://app.example" }), null);
    expect(await refusal(await join(`?ticket=${ticket}`, {}), 401)).toBe("SASL_AUTHENTICATION_FAILED");
    expect(await refusal(await join("", {}), 401)).toBe("SASL_AUTHENTICATION_FAILED");
  });
});

describe("an open listener on loopback", () => {
  const at = (url: string, headers: Record<string, string> = {}, variables: Partial<Env> = {}) =>
    request("", { headers }, variables, url);

  test.each([
    "http://localhost:8787/v1/cluster",
    "http://127.0.0.1:1234/v1/cluster",
    "http://[::1]:8787/v1/cluster",
    "http://edgelog.localhost/v1/cluster",
  ])("answers at %s", async (url) => {
    await answer(at(url));
  });

  test.each([
    "http://evil.example/v1/cluster",
    "http://127.0.0.1.evil.example/v1/cluster",
    "http://10.0.0.1/v1/cluster",
  ])("does not answer at %s, where a page may have pointed its own name here", async (url) => {
    expect(await refusal(at(url), 403)).toBe("CLUSTER_AUTHORIZATION_FAILED");
  });

  test("does not answer a page from elsewhere, by request, preflight or WebSocket", async () => {
    const origin = "https://evil.example";
    const url = "http://localhost:8787/v1/cluster";
    expect(await refusal(at(url, { origin }), 403)).toBe("CLUSTER_AUTHORIZATION_FAILED");
    expect(await refusal(at(url, { origin: "null" }), 403)).toBe("CLUSTER_AUTHORIZATION_FAILED");
    await refusal(at(url, { origin, upgrade: "websocket" }), 403);
    const preflight = { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } };
    await refusal(request("/v1/topics", preflight), 403);
  });

  test("does nothing for an image, a script or a link of a page from elsewhere, which name no origin", async () => {
    const topic = `never-${crypto.randomUUID()}`;
    const url = `http://localhost:8787/v1/topics/${topic}`;
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
    expect(await refusal(at(`${url}?auto_create=true`, headers), 403)).toBe("CLUSTER_AUTHORIZATION_FAILED");
    await refusal(at(url), 404);
    await answer(at("http://localhost:8787/v1/cluster", { "sec-fetch-site": "none" }));
    await answer(at("http://localhost:8787/v1/cluster", headers, { EDGELOG_ALLOWED_ORIGINS: "*" }));
  });

  test("answers a page served from this machine", async () => {
    const origin = "http://localhost:5173";
    const response = await at("http://127.0.0.1:8787/v1/cluster", { origin });
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    await answer(response);
  });

  test("answers at and to the origins that are named", async () => {
    const variables = { EDGELOG_ALLOWED_ORIGINS: "https://app.example, http://log.example:8787/" };
    const response = await at(
      "http://log.example:8787/v1/cluster",
      { origin: "https://app.example" },
      variables,
    );
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
    await answer(response);
    await refusal(at("http://log.example:8788/v1/cluster", {}, variables), 403);
  });
});

describe("CORS, where a token is asked for", () => {
  const origin = "https://app.example";
  const allowed = { ...WITH_TOKEN, EDGELOG_ALLOWED_ORIGINS: origin };

  test("answers a preflight without a token, and lets the page send one", async () => {
    const headers = {
      origin,
      "access-control-request-method": "PATCH",
      "access-control-request-headers": "authorization,content-type",
    };
    const response = await request("/v1/topics/a", { method: "OPTIONS", headers }, allowed);
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    expect(response.headers.get("access-control-allow-methods")).toContain("PATCH");
    expect(response.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("authorization");
  });

  test("lets the page read errors too", async () => {
    const response = await request("/v1/cluster", { headers: { origin } }, allowed);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    await refusal(response, 401);
  });

  test("exposes where a read ended", async () => {
    const response = await request("/v1/cluster", { headers: { origin, ...bearer(TOKEN).headers } }, allowed);
    expect(response.headers.get("access-control-expose-headers")).toContain("Edgelog-Next-Offset");
    await answer(response);
  });

  test.each([
    [undefined, null],
    ["https://other.example", null],
    ["*", origin],
  ])("with EDGELOG_ALLOWED_ORIGINS %s lets the page read from %s", async (origins, expected) => {
    const variables = { ...WITH_TOKEN, ...(origins !== undefined && { EDGELOG_ALLOWED_ORIGINS: origins }) };
    const response = await request(
      "/v1/cluster",
      { headers: { origin, ...bearer(TOKEN).headers } },
      variables,
    );
    expect(response.headers.get("access-control-allow-origin")).toBe(expected);
    await answer(response);
  });
});
