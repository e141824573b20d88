/**
 * Every limit of the system, with its unit. Nothing from outside is buffered before it is held against one of these.
 */

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const SECOND_MS = 1_000;

// ── records and batches ──────────────────────────────────────────────────────────────────────────────────────────────
/** A batch must fit into one SQLite row (2 MB in production, which local workerd does not enforce). */
export const BATCH_BYTES_MAX = 1_900_000;
/** Offsets are JavaScript numbers. */
export const OFFSET_MAX = Number.MAX_SAFE_INTEGER;
/** A partition's index is an int32. */
export const PARTITION_MAX = 2 ** 31 - 1;
/** Times in ms: the last one that a JavaScript Date can hold. */
export const TIMESTAMP_MS_MAX = 8_640_000_000_000_000;
export const RECORDS_PER_BATCH_MAX = 1_000_000;
export const HEADERS_PER_RECORD_MAX = 1_000;
/** Kafka's producers may send more headers than our front ends take: what a reader still decodes. */
export const DECODED_HEADERS_PER_RECORD_MAX = 100_000;
/** What a compressed batch may grow to when a reader decodes it. */
export const DECOMPRESSED_BATCH_BYTES_MAX = 32 * MiB;

// ── the partition: appending ─────────────────────────────────────────────────────────────────────────────────────────
/** One commit group is one row: its batches and their headers once more. */
export const COMMIT_GROUP_BYTES_MAX = 1_950_000;
/** Appended but not yet committed, per partition; beyond it producers are told to retry. */
export const PENDING_APPEND_BYTES_MAX = 16 * MiB;
/** Sequences kept per producer (Kafka's `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`). */
export const PRODUCER_BATCHES_KEPT = 5;
/** Producers without a write for this long are forgotten (Kafka's `producer.id.expiration.ms`). */
export const PRODUCER_EXPIRATION_MS = 24 * 3_600 * SECOND_MS;
/** Producers remembered per partition; the least recent go first. */
export const PRODUCERS_PER_PARTITION_MAX = 20_000;
/** Transactions that are open in one partition; producers that would begin another are told to retry. */
export const OPEN_TRANSACTIONS_PER_PARTITION_MAX = 10_000;
/** The producers' state is snapshot after so many commits or batches: it bounds what waking replays. */
export const PRODUCER_SNAPSHOT_INTERVAL_FLUSHES = 256;
export const PRODUCER_SNAPSHOT_INTERVAL_BATCHES = 4_096;

// ── the partition: segments ──────────────────────────────────────────────────────────────────────────────────────────
/** An effective segment is at most this large whatever `segment.bytes` says. */
export const SEGMENT_BYTES_MAX = 64 * MiB;
/** Records that had expired before they were written go after so long (Kafka's `log.retention.check.interval.ms`). */
export const RETENTION_CHECK_MS = 300 * SECOND_MS;
/** Relative offsets in Kafka's indexes are int32. */
export const SEGMENT_OFFSETS_MAX = 2 ** 31 - 1;
/** Local segments of one partition; beyond it appends fail retriably (a Durable Object holds 10 GB). */
export const LOCAL_BYTES_MAX = 8 * GiB;
/** With `local.retention.*` at -2, uploaded segments beyond this leave SQLite: R2 stores at a tenth of the price. */
export const LOCAL_BYTES_TARGET = 64 * MiB;
/** When a put to R2 whose object was lost on the way has come true, or never will. */
export const ABANDONED_PUT_MS_MAX = 30 * SECOND_MS;
/** A segment's index in its row; index entries are spaced out to fit. */
export const SEGMENT_INDEX_BYTES_MAX = 512 * KiB;

// ── the partition: reading ───────────────────────────────────────────────────────────────────────────────────────────
/** One answer to a read, whatever was asked (the first batch is returned even if it is larger than asked). */
export const READ_BYTES_MAX = 8 * MiB;
export const READ_BYTES_DEFAULT = 1 * MiB;
/** The tail cache of all partitions in an isolate. */
export const TAIL_CACHE_BYTES_MAX = 12 * MiB;
export const READ_WAIT_MS_MAX = 60 * SECOND_MS;
/** What a read of R2 fetches beyond what is wanted: the batch it begins with may begin later than its span of the index. */
export const REMOTE_READ_AHEAD_BYTES = 64 * KiB;
/** Bytes being read from R2 by all requests of an isolate; beyond it readers get less, or are told to retry. */
export const REMOTE_READ_BYTES_IN_FLIGHT_MAX = 48 * MiB;
/** A read that has not ended by then belonged to a request that is gone. */
export const REMOTE_READ_MS_MAX = 60 * SECOND_MS;

// ── subscriptions ────────────────────────────────────────────────────────────────────────────────────────────────────
/** Bytes sent to sockets of an isolate and not yet credited back. */
export const SUBSCRIBER_UNSENT_BYTES_MAX = 32 * MiB;
export const SUBSCRIBER_CREDIT_BYTES_DEFAULT = 1 * MiB;
export const SUBSCRIBER_CREDIT_BYTES_MAX = 16 * MiB;
/** One data frame carries at most so many bytes of batches (or one batch, if that is larger). */
export const SUBSCRIBER_FRAME_BYTES_MAX = 256 * KiB;
/** The text of one JSON data frame; a record that needs more is for the binary subprotocol. */
export const SUBSCRIBER_JSON_FRAME_CHARS_MAX = 8 * MiB;
/** Data frames that an isolate keeps for the next socket at the same position. */
export const SUBSCRIBER_FRAME_CACHE_BYTES_MAX = 8 * MiB;
/** Waiting for so long for memory that others hold is too long … */
export const SUBSCRIBER_BLOCKED_MS_MAX = 1 * SECOND_MS;
/** … and then a socket that owes credit for so long is closed. */
export const SUBSCRIBER_STALLED_MS_MAX = 10 * SECOND_MS;
/** Frames that leaders have sent to the sockets of a Worker's isolate and that no client has taken yet. */
export const BRIDGE_QUEUED_BYTES_MAX = 32 * MiB;
/** What a Worker that follows several partitions for one client lets each leader send ahead. */
export const FEED_WINDOW_BYTES = { least: 32 * KiB, most: 1 * MiB } as const;
/** Tries to go on with a partition, without progress, before the client is told. */
export const FEED_RETRIES_MAX = 8;
export const FEED_RETRY_MS = { first: 50, most: 5 * SECOND_MS } as const;
/** Silence on an event stream is broken by a comment. */
export const EVENT_STREAM_HEARTBEAT_MS = 15 * SECOND_MS;
export const EVENT_STREAM_RETRY_MS = 1 * SECOND_MS;
/** Offsets looked up at once when a subscription begins. */
export const SUBSCRIPTION_LOOKUPS_MAX = 32;
/** A message from a subscriber. */
export const SUBSCRIBER_MESSAGE_BYTES_MAX = 64 * KiB;
export const SUBSCRIPTIONS_PER_SOCKET_MAX = 1_000;
/** Sockets that one partition accepts. */
export const SUBSCRIBERS_PER_PARTITION_MAX = 32_000;

// ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────
export const PARTITIONS_PER_TOPIC_MAX = 1_000_000;
export const TOPICS_MAX = 100_000;
export const CONFIGS_PER_TOPIC_MAX = 100;
export const CONFIG_VALUE_CHARACTERS_MAX = 1_000;
export const PRODUCER_ID_BLOCK_SIZE = 1_000;
export const TOPICS_PER_LIST_MAX = 1_000;
export const OPENED_PARTITIONS_PER_LIST_MAX = 10_000;

// ── the Controller's walks over opened partitions ────────────────────────────────────────────────────────────────────
/** Partitions that one step of a walk takes on, and how many of them at a time. */
export const WALK_STEP_PARTITIONS = 64;
export const WALK_CONCURRENCY = 16;
/** Partitions that are told at a time that their topic has been deleted. */
export const RETIRE_CONCURRENCY = 64;
/** How long one alarm walks before it yields to the next. */
export const WALK_RUN_MS_MAX = 20 * SECOND_MS;
/** A partition that has not answered by then has failed, for this time round. */
export const WALK_CALL_MS_MAX = 60 * SECOND_MS;
/** When a walk goes on if the object is lost in the middle of it. */
export const WALK_RESUME_MS = 5 * SECOND_MS;
/** Between two rounds over partitions that failed: doubled every time, from the first to the second. */
export const WALK_BACKOFF_MS_MIN = 1 * SECOND_MS;
export const WALK_BACKOFF_MS_MAX = 300 * SECOND_MS;

// ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** A group's id is the name of its Durable Object. */
export const GROUP_ID_BYTES_MAX = 1_000;
/** Members of one group; beyond it GROUP_MAX_SIZE_REACHED (Kafka's `group.max.size`, `group.consumer.max.size`). */
export const GROUP_MEMBERS_MAX = 5_000;
/** What one member says of itself in JoinGroup, over all protocols, and what one is assigned: a row each. */
export const GROUP_MEMBER_METADATA_BYTES_MAX = 512 * KiB;
export const GROUP_MEMBER_ASSIGNMENT_BYTES_MAX = 512 * KiB;
/** What all members say of themselves: the leader of the group gets it in one answer. */
export const GROUP_METADATA_BYTES_MAX = 8 * MiB;
export const GROUP_MEMBER_PROTOCOLS_MAX = 100;
/** Client ids, hosts, instance ids, racks, member ids. */
export const GROUP_TEXT_CHARACTERS_MAX = 1_000;
/** Kafka's `group.min.session.timeout.ms` and `group.max.session.timeout.ms`. */
export const GROUP_SESSION_TIMEOUT_MS = { least: 6 * SECOND_MS, most: 1_800 * SECOND_MS } as const;
/** A rebalance waits no longer, whatever its members ask for. */
export const GROUP_REBALANCE_TIMEOUT_MS_MAX = 24 * 3_600 * SECOND_MS;
/** Kafka's `group.initial.rebalance.delay.ms`. */
export const GROUP_INITIAL_REBALANCE_DELAY_MS = { least: 0, most: 300 * SECOND_MS } as const;
export const GROUP_INITIAL_REBALANCE_DELAY_MS_DEFAULT = 3 * SECOND_MS;
/** A new member whose JoinGroup is parked cannot heartbeat: it is given so long (Kafka's constant). */
export const GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS = 300 * SECOND_MS;
/** Kafka's `group.consumer.session.timeout.ms` and `group.consumer.heartbeat.interval.ms` (KIP-848). */
export const CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT = 45 * SECOND_MS;
export const CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS_DEFAULT = 5 * SECOND_MS;
export const CONSUMER_GROUP_HEARTBEAT_INTERVAL_MS = { least: 0.5 * SECOND_MS, most: 60 * SECOND_MS } as const;
/** How often a group whose assignments are made here asks whether topics have come, gone or grown. */
export const GROUP_TOPICS_REFRESH_MS = 5 * SECOND_MS;
/** Partitions that one group's members are assigned here, and topics that one member subscribes to by name. */
export const GROUP_ASSIGNED_PARTITIONS_MAX = 100_000;
export const GROUP_SUBSCRIBED_TOPICS_MAX = 5_000;
/** Topics that one group is subscribed to are kept in one row, as JSON, and their ids again in that of each member. */
export const GROUP_TOPICS_CHARACTERS_MAX = 1_000_000;
export const NAME_REGEX_CHARACTERS_MAX = 1_000;
/** Kafka's `offset.metadata.max.bytes`. */
export const OFFSET_METADATA_CHARACTERS_MAX = 4_096;
/** Offsets that one group keeps. */
export const OFFSETS_PER_GROUP_MAX = 200_000;
/** Offsets that one answer of a coordinator holds; each may bring metadata along. */
export const GROUP_OFFSETS_PER_PAGE_MAX = 1_000;
/** Kafka's `offsets.retention.minutes` and `offsets.retention.check.interval.ms`. */
export const OFFSETS_RETENTION_MINUTES = { least: 1, most: 2 ** 31 - 1 } as const;
export const OFFSETS_RETENTION_MINUTES_DEFAULT = 7 * 24 * 60;
export const OFFSETS_RETENTION_CHECK_MS = 600 * SECOND_MS;
/** Groups, or transactional ids, in one answer of the Controller. */
export const NAMES_PER_LIST_MAX = 1_000;
/** Groups that one request asks at the same time. */
export const GROUPS_ASKED_AT_ONCE = 16;
/** How often a member sends `ping` over its socket: a browser lets a page in the background do so once a minute. */
export const GROUP_SOCKET_PING_MS = 30 * SECOND_MS;
/** A socket that nothing was heard of for so long, not even a ping, is taken for broken … */
export const GROUP_SOCKET_SILENCE_MS_MAX = 150 * SECOND_MS;
/** … when somebody looks: whenever the coordinator is awake anyway, not more often than the first, or by its alarm. */
export const GROUP_SOCKET_LOOK_MS = { awake: 15 * SECOND_MS, asleep: 900 * SECOND_MS } as const;
/** How long a member may be without a socket before it is taken for gone: it connects again and goes on. */
export const GROUP_SOCKET_GRACE_MS = 10 * SECOND_MS;
/** A socket must be a member's by then. */
export const GROUP_SOCKET_JOIN_MS_MAX = 60 * SECOND_MS;
/** Sockets that one coordinator accepts: those of its members, and as many that they are about to be replaced by. */
export const GROUP_SOCKETS_MAX = 2 * GROUP_MEMBERS_MAX;
/** A message from a member, and partitions in one message to it. */
export const GROUP_MESSAGE_CHARACTERS_MAX = 1 * MiB;
export const GROUP_PARTITIONS_PER_MESSAGE_MAX = 1_000;
/** The id that a member chooses itself: it must fit into what the platform keeps of a socket. */
export const GROUP_OWN_MEMBER_ID_CHARACTERS_MAX = 100;
/** A poll that waits asks the coordinator so often whether its partitions have changed. */
export const GROUP_POLL_HEARTBEAT_MS = 5 * SECOND_MS;
export const GROUP_POLL_RECORDS_DEFAULT = 500;
export const GROUP_POLL_RECORDS_MAX = 10_000;
export const GROUP_POLL_PARTITIONS_AT_ONCE = 16;
/** How long a member may take to give partitions up, if it does not say (the Java client's `max.poll.interval.ms`). */
export const GROUP_REBALANCE_TIMEOUT_MS_DEFAULT = 300 * SECOND_MS;
export const TOPICS_PER_LOOK_UP_MAX = 1_000;

// ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────────────
/** A transactional id is the name of its coordinator's Durable Object. */
export const TRANSACTIONAL_ID_BYTES_MAX = 1_000;
/** Kafka's `transaction.max.timeout.ms`. */
export const TRANSACTION_TIMEOUT_MS_MAX = 900 * SECOND_MS;
/** A transactional id that was not used for so long is forgotten (Kafka's `transactional.id.expiration.ms`). */
export const TRANSACTIONAL_ID_EXPIRATION_MS = 7 * 24 * 3_600 * SECOND_MS;
/** What one transaction writes to: they are kept in one row. */
export const TRANSACTION_PARTITIONS_MAX = 20_000;
export const TRANSACTION_GROUPS_MAX = 500;
/** Transactional ids that one request asks at the same time. */
export const TRANSACTIONS_ASKED_AT_ONCE = 16;
/** Partitions and groups that are told at a time how a transaction has ended. */
export const TRANSACTION_MARKERS_AT_ONCE = 32;
/** How long whoever ends a transaction waits until all of them have been told; then they are told after the answer. */
export const TRANSACTION_COMPLETION_WAIT_MS = 5 * SECOND_MS;
/** When those who could not be told are told again: soon a few times, then by an alarm, which also follows a lost object. */
export const TRANSACTION_MARKER_RETRY_MS = [20, 100, 500, 2_000] as const;
/** Who took part in a transaction and has not answered by then is told again. */
export const TRANSACTION_TELL_MS_MAX = 30 * SECOND_MS;
export const TRANSACTION_RESUME_MS = 5 * SECOND_MS;

// ── lag ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** Readers' positions that one question to a leader holds. */
export const LAG_POSITIONS_PER_CALL_MAX = 1_000;
/** Markers of transactions that are passed over in search of an unread record; behind them the next marker counts as one. */
export const LAG_MARKERS_PASSED_MAX = 1_000;
/** Leaders that one request asks at the same time. */
export const LAG_LEADERS_AT_ONCE = 64;
/** Times of records in R2 that an isolate remembers: a reader that stands still is not looked up again. */
export const RECORD_TIMES_CACHED_MAX = 10_000;
/** Partitions that one description of a group tells of. */
export const GROUP_DESCRIBED_PARTITIONS_MAX = 1_000;

/** Groups and partitions, of all groups together, whose lag one answer of /metrics tells. */
export const SURVEYED_GROUPS_MAX = 1_000;
export const SURVEYED_PARTITIONS_MAX = 25_000;
export const SURVEYED_GROUPS_AT_ONCE = 64;
/** How long it waits for groups, and for all (Prometheus' `scrape_timeout` is 10 s by default). */
export const SURVEY_MS_MAX = { groups: 5 * SECOND_MS, all: 8 * SECOND_MS } as const;

// ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** A request's body, before and after gzip. */
export const HTTP_BODY_BYTES_MAX = 16 * MiB;
export const HTTP_RECORDS_PER_REQUEST_MAX = 100_000;
export const HTTP_JSON_DEPTH_MAX = 64;
/** What one JSON value (a record, or a body that has none) may take as objects; a record that fits a batch needs less. */
export const HTTP_JSON_PARSED_BYTES_MAX = 64 * MiB;
export const HTTP_LIST_PAGE_MAX = 1_000;
export const HTTP_OFFSETS_PER_REQUEST_MAX = 10_000;
export const TICKET_TTL_MS = 60 * SECOND_MS;
/** Tickets issued and not yet redeemed or expired. */
export const TICKETS_MAX = 10_000;
/** What HTTP packs into one batch; a single larger record still gets a batch of its own. */
export const HTTP_BATCH_BYTES_TARGET = 1_000_000;
/** Appends of one request that are under way at once, to as many partitions. */
export const APPENDS_PER_REQUEST_IN_FLIGHT_MAX = 64;
/** Bodies of all HTTP requests of an isolate that are being read or worked on; beyond it requests are told to retry. */
export const HTTP_BODY_BYTES_IN_FLIGHT_MAX = 48 * MiB;
/** Record batches of all HTTP answers of an isolate that are being sent; the fuller it is, the less an answer may have … */
export const HTTP_ANSWER_BYTES_IN_FLIGHT_MAX = 48 * MiB;
/** … and where there would be less than so much, requests are told to retry. */
export const ANSWER_SHARE_BYTES_MIN = 64 * KiB;
/** Where others need the room, an answer of which nothing was taken for so long is broken off … */
export const HTTP_STALLED_MS_MAX = 10 * SECOND_MS;
/** … and whatever was held for so long is taken for given up: a request whose client went away may never say so. */
export const HTTP_IN_FLIGHT_MS_MAX = 120 * SECOND_MS;
/** A streamed answer is sent in pieces of about so many characters or bytes. */
export const HTTP_CHUNK_CHARS = 64 * KiB;
export const HTTP_CHUNK_BYTES = 256 * KiB;

// ── service bindings ─────────────────────────────────────────────────────────────────────────────────────────────────
/** Records in one answer, decompressed; an RPC takes 32 MiB. A single larger record comes alone. */
export const SERVICE_RECORDS_BYTES_MAX = 8 * MiB;

// ── the Kafka protocol ───────────────────────────────────────────────────────────────────────────────────────────────
/** A request, as its length prefix announces it (Kafka's `socket.request.max.bytes`; its default is 100 MB). */
export const KAFKA_FRAME_BYTES_MAX = 32 * MiB;
/** Elements of all arrays of one message together: an element of two bytes becomes an object of a hundred. */
export const KAFKA_ARRAY_ELEMENTS_MAX = 250_000;
/** A request of a client that has not said yet who it is. */
export const KAFKA_UNAUTHENTICATED_FRAME_BYTES_MAX = 64 * KiB;
/** One read of a connection; a larger frame is then read straight into a buffer of its own size. */
export const KAFKA_READ_CHUNK_BYTES = 16 * KiB;
/** What one connection may send before others are looked at, in frames and in bytes of larger frames. */
export const KAFKA_TURN_FRAMES_MAX = 64;
export const KAFKA_TURN_BYTES_MAX = 4 * MiB;
/** Larger frames of all connections of an isolate that are being read or worked on. */
export const KAFKA_REQUEST_BYTES_IN_FLIGHT_MAX = 48 * MiB;
/** Requests of one connection that are not answered yet; beyond it the next one is not read. */
export const KAFKA_REQUESTS_IN_FLIGHT_MAX = 100;
/** A frame that has begun must be there by then, and an answer taken. */
export const KAFKA_STALLED_MS_MAX = 60 * SECOND_MS;
/** A connection without a request for so long is closed (Kafka's `connections.max.idle.ms`). */
export const KAFKA_IDLE_MS_MAX = 600 * SECOND_MS;
/** How often a connection looks after these times. */
export const KAFKA_WATCHDOG_MS = 10 * SECOND_MS;
/** Record batches in one answer to a Fetch, whatever was asked. */
export const KAFKA_FETCH_BYTES_MAX = 8 * MiB;
/** Record batches that all connections of an isolate have read and not sent yet; the last ones read in small steps. */
export const KAFKA_FETCH_BYTES_IN_FLIGHT_MAX = 48 * MiB;
export const KAFKA_FETCH_STEP_BYTES_MIN = 64 * KiB;
/** Partitions that one request reads or asks at once. */
export const KAFKA_PARTITIONS_AT_ONCE = 16;
/** Notice sockets that one connection holds, and how long one is kept that no Fetch asks for. */
export const KAFKA_NOTICE_SOCKETS_MAX = 1_000;
export const KAFKA_NOTICE_SOCKET_UNUSED_MS_MAX = 60 * SECOND_MS;
/** Where a WebSocket carries the protocol: bytes that one side may send beyond what the other has told to have read. */
export const KAFKA_WEBSOCKET_WINDOW_BYTES = 4 * MiB;
/** Clients of one listener of `edgelog tunnel`; each may hold a window in both directions. */
export const TUNNEL_CONNECTIONS_MAX = 1_000;
/** Partitions in one answer of Metadata, which has no pages: each is a few hundred bytes while it is put together. */
export const KAFKA_METADATA_PARTITIONS_MAX = 100_000;
/** Partitions in one answer of DescribeTopicPartitions (Kafka's `max.request.partition.size.limit`). */
export const KAFKA_DESCRIBED_PARTITIONS_MAX = 2_000;
/** Partitions in one answer of DescribeLogDirs; each one is asked. */
export const KAFKA_LOG_DIR_PARTITIONS_MAX = 10_000;

// ── the Worker ───────────────────────────────────────────────────────────────────────────────────────────────────────
/** How long a Worker believes what it knows of a topic. */
export const METADATA_CACHE_MS = 5 * SECOND_MS;
export const METADATA_CACHE_TOPICS_MAX = 10_000;
/** How often a waiting read looks again where the partition takes no notice socket. */
export const READ_POLL_MS = 500;
/** Notice sockets that one waiting read opens, one after another, before it goes over to that. */
export const NOTICE_SOCKETS_PER_READ_MAX = 3;
/** Partition stubs that one request or connection holds on to. */
export const PARTITION_STUBS_MAX = 10_000;
/** How long a session with a partition is kept that is not called: keeping its object awake for so long costs one request. */
export const PARTITION_SESSION_IDLE_MS = 100;

// ── alarms ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** After a failed run the next one waits `first`, then twice as long each time up to `most`; never sooner than `soonest`. */
export const ALARM_RETRY_MS = { soonest: 100, first: SECOND_MS, most: 60 * SECOND_MS } as const;
/** What is due later waits for an alarm that finds nothing to do: the platform takes no date after 2189. */
export const ALARM_AHEAD_MS_MAX = 10 * 365 * 24 * 3_600 * SECOND_MS;
