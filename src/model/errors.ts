/**
 * The one error registry: a row per error, named as in Kafka's `Errors`.
 * Every front end maps from here: the Kafka protocol by `code`, HTTP by `status`.
 */

/** name: [Kafka code, HTTP status, whether the same request may succeed when sent again, what happened] */
const ROWS = {
  UNKNOWN_SERVER_ERROR: [-1, 500, false, "The server failed in a way it did not foresee."],
  NONE: [0, 200, false, "No error."],
  OFFSET_OUT_OF_RANGE: [1, 416, false, "The offset lies before the log start or beyond the log end."],
  CORRUPT_MESSAGE: [2, 400, true, "The batch does not match its CRC-32C or its size."],
  UNKNOWN_TOPIC_OR_PARTITION: [3, 404, true, "This cluster has no such topic or partition."],
  INVALID_FETCH_SIZE: [4, 400, false, "Invalid fetch size."],
  LEADER_NOT_AVAILABLE: [5, 503, true, "Leader not available."],
  NOT_LEADER_OR_FOLLOWER: [6, 409, true, "The partition has moved; refresh the metadata."],
  REQUEST_TIMED_OUT: [
    7,
    504,
    true,
    "The request was not answered in time; of a write, the outcome is unknown. An idempotent producer resolves it by retrying.",
  ],
  BROKER_NOT_AVAILABLE: [8, 503, false, "Broker not available."],
  REPLICA_NOT_AVAILABLE: [9, 503, true, "Replica not available."],
  MESSAGE_TOO_LARGE: [10, 413, false, "The batch is larger than max.message.bytes."],
  STALE_CONTROLLER_EPOCH: [11, 400, false, "Stale controller epoch."],
  OFFSET_METADATA_TOO_LARGE: [12, 413, false, "The metadata beside the offset is too long."],
  NETWORK_EXCEPTION: [13, 503, true, "Network exception."],
  COORDINATOR_LOAD_IN_PROGRESS: [14, 503, true, "Coordinator load in progress."],
  COORDINATOR_NOT_AVAILABLE: [15, 503, true, "Coordinator not available."],
  NOT_COORDINATOR: [16, 503, true, "Not coordinator."],
  INVALID_TOPIC_EXCEPTION: [17, 400, false, "The topic name is not legal."],
  RECORD_LIST_TOO_LARGE: [18, 413, false, "The batch is larger than segment.bytes."],
  NOT_ENOUGH_REPLICAS: [19, 503, true, "Fewer replicas than min.insync.replicas are in sync."],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [20, 503, true, "Not enough replicas after append."],
  INVALID_REQUIRED_ACKS: [21, 400, false, "acks must be 0, 1 or -1 (all)."],
  ILLEGAL_GENERATION: [22, 409, false, "Illegal generation."],
  INCONSISTENT_GROUP_PROTOCOL: [23, 409, false, "Inconsistent group protocol."],
  INVALID_GROUP_ID: [24, 400, false, "Invalid group id."],
  UNKNOWN_MEMBER_ID: [25, 404, false, "Unknown member id."],
  INVALID_SESSION_TIMEOUT: [26, 400, false, "Invalid session timeout."],
  REBALANCE_IN_PROGRESS: [27, 409, false, "Rebalance in progress."],
  INVALID_COMMIT_OFFSET_SIZE: [28, 413, false, "Invalid commit offset size."],
  TOPIC_AUTHORIZATION_FAILED: [29, 403, false, "The principal may not do this to the topic."],
  GROUP_AUTHORIZATION_FAILED: [30, 403, false, "Group authorization failed."],
  CLUSTER_AUTHORIZATION_FAILED: [31, 403, false, "The principal may not do this to the cluster."],
  INVALID_TIMESTAMP: [32, 400, false, "A timestamp lies outside the topic's window."],
  UNSUPPORTED_SASL_MECHANISM: [33, 401, false, "Unsupported sasl mechanism."],
  ILLEGAL_SASL_STATE: [34, 401, false, "Illegal sasl state."],
  UNSUPPORTED_VERSION: [35, 400, false, "This version of the API is not supported."],
  TOPIC_ALREADY_EXISTS: [36, 409, false, "A topic with this name exists."],
  INVALID_PARTITIONS: [37, 400, false, "The number of partitions is not possible."],
  INVALID_REPLICATION_FACTOR: [
    38,
    400,
    false,
    "The replication factor is larger than the number of brokers.",
  ],
  INVALID_REPLICA_ASSIGNMENT: [39, 400, false, "Invalid replica assignment."],
  INVALID_CONFIG: [40, 400, false, "The config is unknown, malformed or not honoured."],
  NOT_CONTROLLER: [41, 503, true, "Not controller."],
  INVALID_REQUEST: [42, 400, false, "The request does not have the form that the API asks for."],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [43, 415, false, "Unsupported for message format."],
  POLICY_VIOLATION: [44, 403, false, "Policy violation."],
  OUT_OF_ORDER_SEQUENCE_NUMBER: [45, 409, false, "The batch does not follow the producer's last sequence."],
  DUPLICATE_SEQUENCE_NUMBER: [46, 409, false, "Duplicate sequence number."],
  INVALID_PRODUCER_EPOCH: [47, 409, false, "A newer epoch of this producer has written."],
  INVALID_TXN_STATE: [48, 409, false, "Invalid txn state."],
  INVALID_PRODUCER_ID_MAPPING: [49, 409, false, "Invalid producer id mapping."],
  INVALID_TRANSACTION_TIMEOUT: [50, 400, false, "Invalid transaction timeout."],
  CONCURRENT_TRANSACTIONS: [51, 409, true, "The transaction is still being completed."],
  TRANSACTION_COORDINATOR_FENCED: [52, 409, false, "Transaction coordinator fenced."],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: [53, 403, false, "Transactional id authorization failed."],
  SECURITY_DISABLED: [54, 403, false, "Security disabled."],
  OPERATION_NOT_ATTEMPTED: [55, 500, false, "Operation not attempted."],
  KAFKA_STORAGE_ERROR: [
    56,
    503,
    true,
    "Storage could not be read or written. Of a change of topics or groups, the outcome is unknown.",
  ],
  LOG_DIR_NOT_FOUND: [57, 404, false, "Log dir not found."],
  SASL_AUTHENTICATION_FAILED: [58, 401, false, "The credentials are missing or wrong."],
  UNKNOWN_PRODUCER_ID: [59, 409, false, "Unknown producer id."],
  REASSIGNMENT_IN_PROGRESS: [60, 409, false, "Reassignment in progress."],
  DELEGATION_TOKEN_AUTH_DISABLED: [61, 403, false, "Delegation token auth disabled."],
  DELEGATION_TOKEN_NOT_FOUND: [62, 404, false, "Delegation token not found."],
  DELEGATION_TOKEN_OWNER_MISMATCH: [63, 403, false, "Delegation token owner mismatch."],
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: [64, 403, false, "Delegation token request not allowed."],
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: [65, 403, false, "Delegation token authorization failed."],
  DELEGATION_TOKEN_EXPIRED: [66, 401, false, "Delegation token expired."],
  INVALID_PRINCIPAL_TYPE: [67, 400, false, "Invalid principal type."],
  NON_EMPTY_GROUP: [68, 409, false, "Non empty group."],
  GROUP_ID_NOT_FOUND: [69, 404, false, "Group id not found."],
  FETCH_SESSION_ID_NOT_FOUND: [70, 404, true, "Fetch session id not found."],
  INVALID_FETCH_SESSION_EPOCH: [71, 409, true, "Invalid fetch session epoch."],
  LISTENER_NOT_FOUND: [72, 404, true, "Listener not found."],
  TOPIC_DELETION_DISABLED: [73, 403, false, "Topic deletion disabled."],
  FENCED_LEADER_EPOCH: [74, 409, true, "The request's leader epoch is older than the partition's."],
  UNKNOWN_LEADER_EPOCH: [75, 409, true, "The request's leader epoch is newer than the partition's."],
  UNSUPPORTED_COMPRESSION_TYPE: [76, 415, false, "The codec is unknown or not allowed here."],
  STALE_BROKER_EPOCH: [77, 400, false, "Stale broker epoch."],
  OFFSET_NOT_AVAILABLE: [78, 503, true, "Offset not available."],
  MEMBER_ID_REQUIRED: [79, 409, false, "Member id required."],
  PREFERRED_LEADER_NOT_AVAILABLE: [80, 503, true, "Preferred leader not available."],
  GROUP_MAX_SIZE_REACHED: [81, 429, false, "Group max size reached."],
  FENCED_INSTANCE_ID: [82, 409, false, "Fenced instance id."],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [83, 503, true, "Eligible leaders not available."],
  ELECTION_NOT_NEEDED: [84, 409, true, "Election not needed."],
  NO_REASSIGNMENT_IN_PROGRESS: [85, 409, false, "No reassignment in progress."],
  GROUP_SUBSCRIBED_TO_TOPIC: [86, 409, false, "Group subscribed to topic."],
  INVALID_RECORD: [87, 400, false, "A record or batch breaks a rule of the format or of the topic."],
  UNSTABLE_OFFSET_COMMIT: [88, 503, true, "Unstable offset commit."],
  THROTTLING_QUOTA_EXCEEDED: [89, 429, true, "Too much is in flight; slow down and retry."],
  PRODUCER_FENCED: [90, 409, false, "A newer producer with the same transactional id has fenced this one."],
  RESOURCE_NOT_FOUND: [91, 404, false, "Resource not found."],
  DUPLICATE_RESOURCE: [92, 409, false, "Duplicate resource."],
  UNACCEPTABLE_CREDENTIAL: [93, 400, false, "Unacceptable credential."],
  INCONSISTENT_VOTER_SET: [94, 409, false, "Inconsistent voter set."],
  INVALID_UPDATE_VERSION: [95, 400, false, "Invalid update version."],
  FEATURE_UPDATE_FAILED: [96, 500, false, "Feature update failed."],
  PRINCIPAL_DESERIALIZATION_FAILURE: [97, 500, false, "Principal deserialization failure."],
  SNAPSHOT_NOT_FOUND: [98, 404, false, "Snapshot not found."],
  POSITION_OUT_OF_RANGE: [99, 416, false, "Position out of range."],
  UNKNOWN_TOPIC_ID: [100, 404, true, "No topic has this id (any more)."],
  DUPLICATE_BROKER_REGISTRATION: [101, 409, false, "Duplicate broker registration."],
  BROKER_ID_NOT_REGISTERED: [102, 404, false, "Broker id not registered."],
  INCONSISTENT_TOPIC_ID: [103, 409, true, "Inconsistent topic id."],
  INCONSISTENT_CLUSTER_ID: [104, 409, false, "Inconsistent cluster id."],
  TRANSACTIONAL_ID_NOT_FOUND: [105, 404, false, "Transactional id not found."],
  FETCH_SESSION_TOPIC_ID_ERROR: [106, 409, true, "Fetch session topic id error."],
  INELIGIBLE_REPLICA: [107, 503, false, "Ineligible replica."],
  NEW_LEADER_ELECTED: [108, 503, false, "New leader elected."],
  OFFSET_MOVED_TO_TIERED_STORAGE: [109, 400, false, "Offset moved to tiered storage."],
  FENCED_MEMBER_EPOCH: [110, 409, false, "Fenced member epoch."],
  UNRELEASED_INSTANCE_ID: [111, 409, false, "Unreleased instance id."],
  UNSUPPORTED_ASSIGNOR: [112, 400, false, "Unsupported assignor."],
  STALE_MEMBER_EPOCH: [113, 409, false, "Stale member epoch."],
  MISMATCHED_ENDPOINT_TYPE: [114, 400, false, "Mismatched endpoint type."],
  UNSUPPORTED_ENDPOINT_TYPE: [115, 400, false, "Unsupported endpoint type."],
  UNKNOWN_CONTROLLER_ID: [116, 404, false, "Unknown controller id."],
  UNKNOWN_SUBSCRIPTION_ID: [117, 404, false, "Unknown subscription id."],
  TELEMETRY_TOO_LARGE: [118, 413, false, "Telemetry too large."],
  INVALID_REGISTRATION: [119, 400, false, "Invalid registration."],
  TRANSACTION_ABORTABLE: [120, 409, false, "Transaction abortable."],
  INVALID_RECORD_STATE: [121, 409, false, "Invalid record state."],
  SHARE_SESSION_NOT_FOUND: [122, 404, true, "Share session not found."],
  INVALID_SHARE_SESSION_EPOCH: [123, 409, true, "Invalid share session epoch."],
  FENCED_STATE_EPOCH: [124, 409, false, "Fenced state epoch."],
  INVALID_VOTER_KEY: [125, 400, false, "Invalid voter key."],
  DUPLICATE_VOTER: [126, 409, false, "Duplicate voter."],
  VOTER_NOT_FOUND: [127, 404, false, "Voter not found."],
  INVALID_REGULAR_EXPRESSION: [128, 400, false, "Invalid regular expression."],
  REBOOTSTRAP_REQUIRED: [129, 503, false, "Rebootstrap required."],
  STREAMS_INVALID_TOPOLOGY: [130, 400, false, "Streams invalid topology."],
  STREAMS_INVALID_TOPOLOGY_EPOCH: [131, 400, false, "Streams invalid topology epoch."],
  STREAMS_TOPOLOGY_FENCED: [132, 409, false, "Streams topology fenced."],
  SHARE_SESSION_LIMIT_REACHED: [133, 429, true, "Share session limit reached."],
  GROUP_DELETION_FAILED: [134, 500, false, "Group deletion failed."],
  STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED: [
    135,
    500,
    false,
    "Streams topology description update failed.",
  ],
  CONTROLLER_ID_NOT_REGISTERED: [136, 404, false, "Controller id not registered."],
  // Only HTTP has these; over the Kafka protocol they would read INVALID_REQUEST.
  NOT_FOUND: [42, 404, false, "There is no such resource."],
  METHOD_NOT_ALLOWED: [42, 405, false, "The resource does not know this method."],
  NOT_ACCEPTABLE: [42, 406, false, "None of the accepted media types can be produced."],
  CONTENT_TOO_LARGE: [42, 413, false, "The request's body is larger than allowed."],
  UNSUPPORTED_MEDIA_TYPE: [42, 415, false, "The body's media type or encoding is not supported."],
  UPGRADE_REQUIRED: [42, 426, false, "This resource is reached by a WebSocket."],
} as const satisfies Record<string, readonly [number, number, boolean, string]>;

export type ErrorName = keyof typeof ROWS;

export interface ErrorRow {
  /** Kafka's error code. */
  readonly code: number;
  /** HTTP status. */
  readonly status: number;
  readonly retriable: boolean;
  /** One sentence: what happened. */
  readonly description: string;
}

export function errorRow(name: ErrorName): ErrorRow {
  const [code, status, retriable, description] = ROWS[name];
  return { code, status, retriable, description };
}

export function isErrorName(name: unknown): name is ErrorName {
  return typeof name === "string" && Object.hasOwn(ROWS, name);
}

/** What an operation returns instead of its result when it is refused; a plain value, so it crosses an RPC whole. */
export interface Failure {
  readonly error: ErrorName;
  /** What was wrong and what to do about it. */
  readonly message: string;
}

export function failure(error: ErrorName, message: string = ROWS[error][3]): Failure {
  return { error, message };
}

export function isFailure(result: unknown): result is Failure {
  return typeof result === "object" && result !== null && "error" in result && isErrorName(result.error);
}

/** The same as an exception, for code that is deep inside one process. Never crosses an RPC. */
export class EdgelogError extends Error {
  readonly code: ErrorName;

  constructor(code: ErrorName, message: string = ROWS[code][3], options?: ErrorOptions) {
    super(message, options);
    this.name = "EdgelogError";
    this.code = code;
  }

  get retriable(): boolean {
    return ROWS[this.code][2];
  }

  static from(failed: Failure): EdgelogError {
    return new EdgelogError(failed.error, failed.message);
  }

  toFailure(): Failure {
    return { error: this.code, message: this.message };
  }
}

/** The result, or the failure thrown as an {@link EdgelogError}. */
export function unwrap<T>(result: T): Exclude<T, Failure> {
  if (isSuccess(result)) return result;
  throw isFailure(result) ? EdgelogError.from(result) : new TypeError("neither a result nor a failure");
}

function isSuccess<T>(result: T): result is Exclude<T, Failure> {
  return !isFailure(result);
}
