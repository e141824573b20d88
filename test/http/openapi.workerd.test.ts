import { expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { isErrorName } from "../../src/model/errors.ts";
import { answer, request } from "./http.ts";

interface Operation {
  readonly responses: Record<string, { description: string; content?: Record<string, unknown> }>;
  readonly requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
  readonly parameters?: { name: string; in: string; required?: boolean }[];
}

async function operations(): Promise<[name: string, operation: Operation][]> {
  const { paths } = await answer(request("/v1/openapi.json"));
  return Object.entries<Record<string, Operation>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

test("the document is OpenAPI 3.1 and all its references lead somewhere", async () => {
  const document = await answer(request("/v1/openapi.json"));
  expect(document.openapi).toBe("3.1.0");
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(20);
  for (const [, name = ""] of references) expect(Object.keys(document.components.schemas)).toContain(name);
});

test("the document has every route but itself", async () => {
  const routes = createApp()
    .routes.filter(({ method, path }) => method !== "ALL" && path !== "/v1/openapi.json")
    .map(({ method, path }) => `${method} ${path.replaceAll(/:([^/]+)/g, "{$1}")}`);
  expect((await operations()).map(([name]) => name).sort()).toEqual([...new Set(routes)].sort());
});

test("every operation says how it succeeds and how it is refused, by the registry's names", async () => {
  for (const [name, { responses }] of await operations()) {
    const statuses = Object.keys(responses).map(Number);
    expect(
      statuses.some((status) => status < 300),
      name,
    ).toBe(true);
    if (name === "GET /healthz") continue;
    expect(statuses, name).toEqual(expect.arrayContaining([400, 401, 403, 500]));
    for (const [status, { description }] of Object.entries(responses)) {
      if (Number(status) < 300) continue;
      const codes = [...description.matchAll(/`([A-Z_]+)`:/g)].map(([, code]) => code);
      expect(codes.length, `${name} ${status}`).toBeGreaterThan(0);
      expect(codes.every(isErrorName)).toBe(true);
    }
  }
});

test("path parameters are described as required", async () => {
  for (const [name, { parameters = [] }] of await operations()) {
    const inPath = [...name.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter);
    expect(
      parameters.filter((parameter) => parameter.in === "path" && parameter.required).map(({ name }) => name),
    ).toEqual(inPath);
  }
});
