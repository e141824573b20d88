import { env, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { Tickets } from "../../durable-objects/controller/tickets.ts";
import { isFailure, unwrap } from "../../src/model/errors.ts";
import { TICKET_TTL_MS, TICKETS_MAX } from "../../src/model/limits.ts";

function withTickets(run: (tickets: Tickets, clock: { ms: number }) => void): Promise<void> {
  return runInDurableObject(env.CONTROLLER.get(env.CONTROLLER.newUniqueId()), (_controller, state) => {
    const clock = { ms: 1_000 };
    const storage = {
      exec: (query: string, ...bindings: (ArrayBuffer | string | number | null)[]) =>
        state.storage.sql.exec(query, ...bindings).toArray(),
      transactionSync: <T>(closure: () => T) => state.storage.transactionSync(closure),
    };
    run(new Tickets(storage, { now: () => clock.ms }), clock);
  });
}

test("a ticket is redeemed once", () =>
  withTickets((tickets) => {
    const { ticket } = unwrap(tickets.issue());
    expect(tickets.redeem("another")).toBe(false);
    expect(tickets.redeem(ticket)).toBe(true);
    expect(tickets.redeem(ticket)).toBe(false);
  }));

test("a ticket expires after a minute", () =>
  withTickets((tickets, clock) => {
    const issued = unwrap(tickets.issue());
    expect(issued.expiresAtMs).toBe(1_000 + TICKET_TTL_MS);
    clock.ms = issued.expiresAtMs;
    expect(tickets.redeem(issued.ticket)).toBe(false);
  }));

test("outstanding tickets are bounded, and expired ones make room", () =>
  withTickets((tickets, clock) => {
    for (let issued = 0; issued < TICKETS_MAX; issued++) unwrap(tickets.issue());
    expect(tickets.issue()).toMatchObject({ error: "THROTTLING_QUOTA_EXCEEDED" });
    clock.ms += TICKET_TTL_MS;
    expect(isFailure(tickets.issue())).toBe(false);
  }));
