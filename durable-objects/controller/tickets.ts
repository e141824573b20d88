/** Single-use tickets: what a browser shows instead of a header that it cannot set. */

import { type Failure, failure } from "../../src/model/errors.ts";
import { TICKET_TTL_MS, TICKETS_MAX } from "../../src/model/limits.ts";
import type { Clock } from "../partition/storage.ts";
import type { IssuedTicket } from "./rpc.ts";
import type { ControllerStorage } from "./storage.ts";

export class Tickets {
  readonly #storage: ControllerStorage;
  readonly #clock: Clock;

  constructor(storage: ControllerStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
    storage.exec(
      "CREATE TABLE IF NOT EXISTS tickets(ticket TEXT PRIMARY KEY, expires_at_ms INTEGER NOT NULL) WITHOUT ROWID",
    );
  }

  /** THROTTLING_QUOTA_EXCEEDED while TICKETS_MAX are outstanding. */
  issue(): IssuedTicket | Failure {
    const now = this.#clock.now();
    this.#storage.exec("DELETE FROM tickets WHERE expires_at_ms <= ?", now);
    const [counted] = this.#storage.exec("SELECT count(*) AS outstanding FROM tickets");
    if (Number(counted?.outstanding) >= TICKETS_MAX) {
      return failure(
        "THROTTLING_QUOTA_EXCEEDED",
        `${TICKETS_MAX} tickets are outstanding; each expires after ${TICKET_TTL_MS / 1_000} s, try again then`,
      );
    }
    const ticket = randomText();
    const expiresAtMs = now + TICKET_TTL_MS;
    this.#storage.exec("INSERT INTO tickets(ticket, expires_at_ms) VALUES (?, ?)", ticket, expiresAtMs);
    return { ticket, expiresAtMs };
  }

  /** True the first time, if it has not expired. */
  redeem(ticket: string): boolean {
    const [row] = this.#storage.exec("DELETE FROM tickets WHERE ticket = ? RETURNING expires_at_ms", ticket);
    return row !== undefined && Number(row.expires_at_ms) > this.#clock.now();
  }
}

function randomText(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
