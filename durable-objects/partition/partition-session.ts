import { RpcTarget } from "cloudflare:workers";
import type { Failure } from "../../src/model/errors.ts";
import type {
  ActiveProducer,
  AppendRequest,
  AppendResult,
  DeleteRecordsRequest,
  DeleteRecordsResult,
  LagAnswer,
  LagRequest,
  LeaderRpc,
  ListOffsetsRequest,
  ListOffsetsResult,
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResult,
  PartitionDescription,
  PartitionRequest,
  ReadRequest,
  ReadResult,
  WriteTransactionMarkerRequest,
} from "./rpc.ts";

/**
 * A leader as one caller keeps it at hand. The output gate holds these answers as it holds those of the object itself, and
 * when the object is reset every session of it breaks.
 */
export class PartitionSession extends RpcTarget implements LeaderRpc {
  readonly #leader: LeaderRpc;

  constructor(leader: LeaderRpc) {
    super();
    this.#leader = leader;
  }

  append(request: AppendRequest): Promise<AppendResult | Failure> {
    return this.#leader.append(request);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#leader.read(request);
  }

  listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsResult> {
    return this.#leader.listOffsets(request);
  }

  deleteRecords(request: DeleteRecordsRequest): Promise<DeleteRecordsResult | Failure> {
    return this.#leader.deleteRecords(request);
  }

  offsetForLeaderEpoch(request: OffsetForLeaderEpochRequest): Promise<OffsetForLeaderEpochResult | Failure> {
    return this.#leader.offsetForLeaderEpoch(request);
  }

  describe(request: PartitionRequest): Promise<PartitionDescription | Failure> {
    return this.#leader.describe(request);
  }

  lag(request: LagRequest): Promise<LagAnswer | Failure> {
    return this.#leader.lag(request);
  }

  activeProducers(request: PartitionRequest): Promise<ActiveProducer[] | Failure> {
    return this.#leader.activeProducers(request);
  }

  writeTransactionMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null> {
    return this.#leader.writeTransactionMarker(request);
  }
}
