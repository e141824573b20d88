/** Published prices, in US dollars, without taxes and discounts. docs/benchmarks.md cites them: each has its source. */

import type { Counts } from "./counts.ts";

/** The reference month: 1 TB in, as 1 KB records, three consumers that read everything, kept for 7 days. */
export const MONTH = { gigabytes: 1_000, consumers: 3, retentionDays: 7, days: 30 } as const;
const SECONDS = MONTH.days * 24 * 3_600;
/** What is stored at any time. */
const STORED_GB = (MONTH.gigabytes * MONTH.retentionDays) / MONTH.days;
const MILLION = 1e6;
const GB = 1e9;

export interface Line {
  readonly item: string;
  readonly used: number;
  readonly included: number;
  readonly dollars: number;
}

/** Cloudflare's paid plan; what it includes is the whole account's. */
const CLOUDFLARE = {
  planPerMonth: 5,
  workerRequests: { included: 10 * MILLION, perMillion: 0.3 },
  workerCpuMs: { included: 30 * MILLION, perMillion: 0.02 },
  objectRequests: { included: MILLION, perMillion: 0.15 },
  objectGbSeconds: { included: 400_000, perMillion: 12.5 },
  rowsRead: { included: 25_000 * MILLION, perMillion: 0.001 },
  rowsWritten: { included: 50 * MILLION, perMillion: 1 },
  sqlGbMonths: { included: 5, each: 0.2 },
  r2GbMonths: { included: 10, each: 0.015 },
  r2ClassA: { included: MILLION, perMillion: 4.5 },
  r2ClassB: { included: 10 * MILLION, perMillion: 0.36 },
} as const;
const OBJECT_GB = 0.128;
const MESSAGES_PER_REQUEST = 20;

/** What is not counted per gigabyte. */
export interface Standing {
  /** Objects that are taken to be awake all month, whatever was counted. */
  readonly awakeObjects: number;
  readonly workerCpuMs: number;
  /** Of SQLite, on average. */
  readonly sqlGb: number;
}

/** The bill of a month in which this much was counted. */
export function cloudflareBill(month: Counts, { awakeObjects, workerCpuMs, sqlGb }: Standing): Line[] {
  const metered = (item: string, used: number, price: { included: number; perMillion: number }): Line => ({
    item,
    used,
    included: price.included,
    dollars: (Math.max(0, used - price.included) / MILLION) * price.perMillion,
  });
  const stored = (item: string, used: number, price: { included: number; each: number }): Line => ({
    item,
    used,
    included: price.included,
    dollars: Math.max(0, used - price.included) * price.each,
  });
  const objectRequests = month.objectRequests + month.webSocketMessages / MESSAGES_PER_REQUEST;
  return [
    { item: "Workers paid plan", used: 1, included: 0, dollars: CLOUDFLARE.planPerMonth },
    metered("Worker requests", month.workerRequests, CLOUDFLARE.workerRequests),
    metered("Worker CPU, ms", workerCpuMs, CLOUDFLARE.workerCpuMs),
    metered("Durable Object requests (messages 20:1)", objectRequests, CLOUDFLARE.objectRequests),
    metered("Durable Object GB-s", awakeObjects * SECONDS * OBJECT_GB, CLOUDFLARE.objectGbSeconds),
    metered("rows read", month.rowsRead, CLOUDFLARE.rowsRead),
    metered("rows written", month.rowsWritten, CLOUDFLARE.rowsWritten),
    stored("SQLite GB-months", sqlGb, CLOUDFLARE.sqlGbMonths),
    stored("R2 GB-months", STORED_GB, CLOUDFLARE.r2GbMonths),
    metered("R2 class A operations", month.r2ClassA, CLOUDFLARE.r2ClassA),
    metered("R2 class B operations", month.r2ClassB, CLOUDFLARE.r2ClassB),
  ];
}

export function total(lines: readonly Line[]): number {
  return lines.reduce((dollars, line) => dollars + line.dollars, 0);
}

export const CLOUDFLARE_SOURCES = [
  "Workers: https://developers.cloudflare.com/workers/platform/pricing/",
  "Durable Objects (requests, RPC sessions, 20:1, duration, rows, setAlarm): https://developers.cloudflare.com/durable-objects/platform/pricing/",
  "R2: https://developers.cloudflare.com/r2/pricing/",
];

export interface OtherPrice {
  readonly service: string;
  /** Per month; undefined: no price could be found. */
  readonly dollars: number | undefined;
  readonly how: string;
}

const GIB_PER_GB = GB / 2 ** 30;
const HOURS = MONTH.days * 24;
const IN = MONTH.gigabytes;
const OUT = MONTH.gigabytes * MONTH.consumers;
const RECORDS = (MONTH.gigabytes * GB) / 1_000;

/** What others would ask for the same month, by their own lists. */
export const OTHERS: readonly OtherPrice[] = [
  {
    service: "Cloudflare K2",
    dollars: 5 + 0.04 * IN + 0.04 * OUT + 0.02 * STORED_GB,
    how: "$5 plan, $0.04 per GB produced, $0.04 per GB consumed, $0.02 per GB-month kept; announced, not billed during its beta (https://developers.cloudflare.com/k2/platform/pricing/, October 2026)",
  },
  {
    service: "Cloudflare Queues",
    dollars: 5 + (0.4 * (3 * RECORDS * MONTH.consumers - MILLION)) / MILLION,
    how: "a queue per consumer, each record a message of three operations at $0.40 per million, kept until consumed only; packing 64 records into a message divides it by 64 (https://developers.cloudflare.com/queues/platform/pricing/, June 2026)",
  },
  {
    service: "Confluent Cloud, Basic",
    dollars: 0.05 * (IN + OUT) + 0.08 * STORED_GB,
    how: "first eCKU free, $0.05 per GB in and out, $0.08 per GB-month, counted once; the cheapest cluster, in one zone (https://www.confluent.io/pricing/, as reported in September 2026)",
  },
  {
    service: "WarpStream, Fundamentals",
    dollars: 0.1725 * 4 * HOURS + 0.01 * GIB_PER_GB * (IN + STORED_GB),
    how: "$0.1725 per 15 minutes, $0.01 per GiB written and per GiB kept; the cloud that its agents and objects need comes on top (https://www.warpstream.com/pricing, as reported in October 2026)",
  },
  {
    service: "Kafka on AWS (MSK, 3 × kafka.m5.large)",
    dollars: 3 * 0.21 * HOURS + 3 * 0.1 * STORED_GB + 0.02 * (2 / 3) * (IN + OUT),
    how: "$0.21 per broker-hour, $0.10 per GB-month of three replicas, two thirds of the clients' traffic between zones at $0.01 each way (https://aws.amazon.com/msk/pricing/, as reported in 2025)",
  },
  {
    service: "Kafka on AWS (MSK, 3 × kafka.t3.small)",
    dollars: 3 * 0.0456 * HOURS + 3 * 0.1 * STORED_GB + 0.02 * (2 / 3) * (IN + OUT),
    how: "the smallest there is, $0.0456 per broker-hour; the rest as above",
  },
];
