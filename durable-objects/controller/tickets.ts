/** Single-use tickets: what a browser shows instead of a header that it cannot set. */

import { type Failure, failure } from "../../src/model/errors.ts";
import { TICKET_TTL_MS, TICKETS_MAX } from "../../src/model/limits.ts";

export interface IssuedTicket {
  /** 43 characters of base64url. */
  readonly ticket: string;
  readonly expiresAtMs: number;
}

export class Tickets {
  readonly #sql: SqlStorage;
  readonly #now: () => number;

  constructor(sql: SqlStorage, now: () => number = Date.now) {
    this.#sql = sql;
    this.#now = now;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS tickets (ticket TEXT PRIMARY KEY, expires_at_ms INTEGER NOT NULL) WITHOUT ROWID",
    );
  }

  /** THROTTLING_QUOTA_EXCEEDED while TICKETS_MAX are outstanding. */
  issue(): IssuedTicket | Failure {
    const now = this.#now();
    this.#sql.exec("DELETE FROM tickets WHERE expires_at_ms <= ?", now);
    const { outstanding } = this.#sql
      .exec<{ outstanding: number }>("SELECT count(*) AS outstanding FROM tickets")
      .one();
    if (outstanding >= TICKETS_MAX) {
      return failure(
        "THROTTLING_QUOTA_EXCEEDED",
        `${outstanding} tickets are outstanding; they expire after ${TICKET_TTL_MS / 1_000} s, try again then`,
      );
    }
    const ticket = randomText();
    const expiresAtMs = now + TICKET_TTL_MS;
    this.#sql.exec("INSERT INTO tickets (ticket, expires_at_ms) VALUES (?, ?)", ticket, expiresAtMs);
    return { ticket, expiresAtMs };
  }

  /** True the first time, if it has not expired. */
  redeem(ticket: string): boolean {
    const [row] = this.#sql
      .exec<{ expires_at_ms: number }>("DELETE FROM tickets WHERE ticket = ? RETURNING expires_at_ms", ticket)
      .toArray();
    return row !== undefined && row.expires_at_ms > this.#now();
  }
}

function randomText(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
