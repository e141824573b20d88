import { APIS } from "../../src/kafka/messages/index.ts";
import type { Api } from "../../src/kafka/schema.ts";

export function findApi(key: number): Api {
  const api = APIS.get(key);
  if (api === undefined) throw new Error(`there is no API ${key}`);
  return api;
}
