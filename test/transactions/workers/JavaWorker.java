import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;

/**
 * A worker, or a reader, by the Java client, with the member that it is of its group sent with its offsets (KIP-447). What a
 * worker says of itself is in test/churn/events.ts; its arguments are in clients.ts.
 */
public final class JavaWorker implements ConsumerRebalanceListener {
  private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);
  private static final String END = "end";
  private static final double ABORT_PROBABILITY = 0.1;
  /** In one transaction, of all partitions. */
  private static final int TRANSACTION_RECORDS_MAX = 100;
  private static final Duration CLOSE_MAX = Duration.ofSeconds(2);

  private final String input;
  private final String output;
  private final int outputPartitions;
  private final Random random;
  private final KafkaConsumer<String, String> consumer;
  private final KafkaProducer<String, String> producer;
  private int ownership = 0;
  private volatile boolean isStopping = false;

  public static void main(String[] args) throws Exception {
    if (args[0].equals("read")) read(args[1], args[2], Integer.parseInt(args[3]), args[4]);
    else new JavaWorker(args).work();
  }

  private JavaWorker(String[] args) {
    String bootstrap = args[1];
    String protocol = args[2];
    input = args[3];
    output = args[4];
    outputPartitions = Integer.parseInt(args[5]);
    random = new Random(Long.parseLong(args[8]));
    consumer = new KafkaConsumer<>(consumerConfig(bootstrap, protocol, args[6]));
    producer = new KafkaProducer<>(producerConfig(bootstrap, args[7]));
  }

  private void work() {
    Thread main = Thread.currentThread();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  isStopping = true;
                  consumer.wakeup();
                  try {
                    main.join(8_000);
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                }));
    int code = 0;
    try {
      producer.initTransactions();
      consumer.subscribe(List.of(input), this);
      while (!isStopping) transact(consumer.poll(Duration.ofMillis(100)));
    } catch (WakeupException e) {
      // It is to stop.
    } catch (KafkaException e) {
      say("note", "ended: " + e);
      code = 1;
    }
    producer.close(CLOSE_MAX);
    if (!isStopping) Runtime.getRuntime().halt(code);
    consumer.close();
  }

  /** Whatever may be lost by it is aborted; what cannot be aborted either ends the worker. */
  private void transact(ConsumerRecords<String, String> records) {
    if (records.isEmpty()) return;
    boolean isAborted = random.nextDouble() < ABORT_PROBABILITY;
    try {
      producer.beginTransaction();
      for (ConsumerRecord<String, String> record : records) send(record, isAborted ? "abort" : "commit");
      Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
      for (TopicPartition partition : records.partitions()) {
        List<ConsumerRecord<String, String>> own = records.records(partition);
        offsets.put(partition, new OffsetAndMetadata(own.get(own.size() - 1).offset() + 1));
      }
      if (!isAborted || random.nextBoolean()) producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
      if (isAborted) {
        producer.flush();
        producer.abortTransaction();
        say("note", "aborted " + records.count());
        goBack();
        return;
      }
      commit();
      say(
          "committed",
          offsets.entrySet().stream()
              .map(entry -> entry.getKey().partition() + ":" + entry.getValue().offset())
              .collect(Collectors.joining(",")));
    } catch (ProducerFencedException e) {
      throw e;
    } catch (KafkaException e) {
      abort(e);
    }
  }

  /** How a commit that was not answered has ended is known only when it is. */
  private void commit() {
    while (true) {
      try {
        producer.commitTransaction();
        return;
      } catch (TimeoutException e) {
        say("note", "a commit takes long");
      }
    }
  }

  private void abort(KafkaException cause) {
    say("note", "failed: " + cause);
    while (true) {
      try {
        producer.abortTransaction();
        break;
      } catch (TimeoutException e) {
        say("note", "an abort takes long");
      }
    }
    goBack();
  }

  /** To where the group is. */
  private void goBack() {
    Set<TopicPartition> assigned = new HashSet<>(consumer.assignment());
    Map<TopicPartition, OffsetAndMetadata> committed = committed(assigned);
    for (TopicPartition partition : assigned) {
      OffsetAndMetadata offset = committed.get(partition);
      consumer.seek(partition, offset == null ? 0 : offset.offset());
    }
  }

  private Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions) {
    while (true) {
      try {
        return consumer.committed(partitions);
      } catch (TimeoutException e) {
        say("note", "the committed offsets take long");
      }
    }
  }

  private void send(ConsumerRecord<String, String> record, String fate) {
    int partition = (int) ((record.partition() + record.offset()) % outputPartitions);
    String value = record.partition() + " " + record.offset() + " " + fate;
    producer.send(new ProducerRecord<>(output, partition, null, value));
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    ownership++;
    say("assigned", ownership + " " + list(partitions));
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    if (!partitions.isEmpty()) say("revoked", list(partitions));
  }

  @Override
  public void onPartitionsLost(Collection<TopicPartition> partitions) {
    if (!partitions.isEmpty()) say("lost", list(partitions));
  }

  private static void read(String bootstrap, String topic, int partitions, String isolation) throws IOException {
    Properties config = clientConfig(bootstrap);
    config.put("isolation.level", isolation);
    config.put("auto.offset.reset", "earliest");
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config)) {
      Set<TopicPartition> left = new HashSet<>();
      for (int partition = 0; partition < partitions; partition++) left.add(new TopicPartition(topic, partition));
      consumer.assign(left);
      while (!left.isEmpty()) {
        StringBuilder lines = new StringBuilder();
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
          TopicPartition partition = new TopicPartition(topic, record.partition());
          if (record.value().equals(END)) left.remove(partition);
          else if (left.contains(partition)) {
            lines.append(record.partition() + " " + record.offset() + " " + record.value() + "\n");
          }
        }
        OUT.write(lines.toString().getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  private static Properties consumerConfig(String bootstrap, String protocol, String group) {
    Properties config = clientConfig(bootstrap);
    config.put("group.id", group);
    config.put("enable.auto.commit", "false");
    config.put("isolation.level", "read_committed");
    config.put("auto.offset.reset", "earliest");
    config.put("fetch.max.wait.ms", "250");
    config.put("max.poll.interval.ms", "20000");
    config.put("max.poll.records", Integer.toString(TRANSACTION_RECORDS_MAX));
    if (protocol.equals("consumer")) {
      config.put("group.protocol", "consumer");
    } else {
      config.put("session.timeout.ms", "6000");
      config.put("heartbeat.interval.ms", "1000");
      config.put(
          "partition.assignment.strategy",
          protocol.equals("cooperative")
              ? "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
              : "org.apache.kafka.clients.consumer.RangeAssignor");
    }
    return config;
  }

  private static Properties producerConfig(String bootstrap, String transactionalId) {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    config.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
    config.put("transactional.id", transactionalId);
    config.put("transaction.timeout.ms", "10000");
    config.put("max.block.ms", "15000");
    config.put("reconnect.backoff.max.ms", "1000");
    return config;
  }

  private static Properties clientConfig(String bootstrap) {
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    config.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    config.put("metadata.max.age.ms", "5000");
    config.put("reconnect.backoff.max.ms", "1000");
    config.put("default.api.timeout.ms", "10000");
    return config;
  }

  private static String list(Collection<TopicPartition> partitions) {
    List<String> numbers = new ArrayList<>();
    for (TopicPartition partition : partitions) numbers.add(Integer.toString(partition.partition()));
    return String.join(",", numbers);
  }

  private static synchronized void say(String kind, String rest) {
    String line = kind + " " + System.currentTimeMillis() + " " + rest.replaceAll("[\\r\\n]+", " ") + "\n";
    try {
      OUT.write(line.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      Runtime.getRuntime().halt(3);
    }
  }
}
