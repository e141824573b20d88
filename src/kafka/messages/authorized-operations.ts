/** What stands in place of a set of authorized operations that was not asked for (Kafka: Int32.MIN_VALUE). */
export const OPERATIONS_NOT_ASKED = -0x8000_0000;
