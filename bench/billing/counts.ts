/** What the platform bills. */
export interface Counts {
  readonly workerRequests: number;
  /** Requests, RPC sessions and alarms of Durable Objects. */
  readonly objectRequests: number;
  /** Incoming; 20 are billed as one request. Outgoing ones are free. */
  readonly webSocketMessages: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly r2ClassA: number;
  readonly r2ClassB: number;
  readonly r2BytesPut: number;
  /** Of Durable Objects that had something to do. */
  readonly awakeMs: number;
}

export function noCounts(): Counts {
  return {
    workerRequests: 0,
    objectRequests: 0,
    webSocketMessages: 0,
    rowsRead: 0,
    rowsWritten: 0,
    r2ClassA: 0,
    r2ClassB: 0,
    r2BytesPut: 0,
    awakeMs: 0,
  };
}

export function difference(after: Counts, before: Counts): Counts {
  return combine(after, before, (a, b) => a - b);
}

export function sum(one: Counts, other: Counts): Counts {
  return combine(one, other, (a, b) => a + b);
}

export function times(counts: Counts, factor: number): Counts {
  return combine(counts, counts, (count) => count * factor);
}

function combine(one: Counts, other: Counts, by: (a: number, b: number) => number): Counts {
  return {
    workerRequests: by(one.workerRequests, other.workerRequests),
    objectRequests: by(one.objectRequests, other.objectRequests),
    webSocketMessages: by(one.webSocketMessages, other.webSocketMessages),
    rowsRead: by(one.rowsRead, other.rowsRead),
    rowsWritten: by(one.rowsWritten, other.rowsWritten),
    r2ClassA: by(one.r2ClassA, other.r2ClassA),
    r2ClassB: by(one.r2ClassB, other.r2ClassB),
    r2BytesPut: by(one.r2BytesPut, other.r2BytesPut),
    awakeMs: by(one.awakeMs, other.awakeMs),
  };
}
