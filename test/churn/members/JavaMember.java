import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;

/** A member of a group by the Java client; says of itself what test/churn/events.ts has. */
public final class JavaMember implements ConsumerRebalanceListener {
  private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

  private final Map<Integer, Integer> ownerships = new HashMap<>();
  private final Map<TopicPartition, OffsetAndMetadata> uncommitted = new HashMap<>();
  private int ownership = 0;

  public static void main(String[] args) {
    String bootstrap = args[0];
    String topic = args[1];
    String group = args[2];
    String protocol = args[3];
    Properties config = new Properties();
    config.put("bootstrap.servers", bootstrap);
    config.put("group.id", group);
    config.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    config.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    config.put("enable.auto.commit", "false");
    config.put("auto.offset.reset", "earliest");
    config.put("fetch.max.wait.ms", "250");
    config.put("max.poll.interval.ms", "20000");
    config.put("max.poll.records", "500");
    config.put("metadata.max.age.ms", "5000");
    config.put("reconnect.backoff.max.ms", "1000");
    config.put("default.api.timeout.ms", "10000");
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
    KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config);
    Thread main = Thread.currentThread();
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  consumer.wakeup();
                  try {
                    main.join(8_000);
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                }));
    JavaMember member = new JavaMember();
    consumer.subscribe(List.of(topic), member);
    try {
      while (true) {
        member.process(consumer, consumer.poll(Duration.ofMillis(100)));
      }
    } catch (WakeupException e) {
      consumer.close();
    }
  }

  private void process(KafkaConsumer<String, String> consumer, ConsumerRecords<String, String> records) {
    for (TopicPartition partition : records.partitions()) {
      List<ConsumerRecord<String, String>> own = records.records(partition);
      processed(partition.partition(), own);
      uncommitted.put(partition, new OffsetAndMetadata(own.get(own.size() - 1).offset() + 1));
    }
    if (uncommitted.isEmpty()) return;
    try {
      Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(uncommitted);
      consumer.commitSync(offsets);
      uncommitted.clear();
      say(
          "committed",
          offsets.entrySet().stream()
              .map(entry -> entry.getKey().partition() + ":" + entry.getValue().offset())
              .collect(Collectors.joining(",")));
    } catch (CommitFailedException | RebalanceInProgressException | TimeoutException e) {
      say("note", "a commit has failed: " + e.getMessage());
    }
  }

  private void processed(int partition, List<ConsumerRecord<String, String>> records) {
    long first = records.get(0).offset();
    long expected = first;
    for (ConsumerRecord<String, String> record : records) {
      if (record.offset() != expected) {
        say("wrong", "partition " + partition + " goes from " + (expected - 1) + " to " + record.offset());
      }
      if (Long.parseLong(record.value().trim()) != record.offset()) {
        say("wrong", "partition " + partition + " has " + record.value() + " at " + record.offset());
      }
      expected = record.offset() + 1;
    }
    say("processed", ownerships.getOrDefault(partition, -1) + " " + partition + " " + first + " " + (expected - 1));
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    ownership++;
    for (TopicPartition partition : partitions) ownerships.put(partition.partition(), ownership);
    say("assigned", ownership + " " + list(partitions));
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    gone("revoked", partitions);
  }

  @Override
  public void onPartitionsLost(Collection<TopicPartition> partitions) {
    gone("lost", partitions);
  }

  private void gone(String kind, Collection<TopicPartition> partitions) {
    if (partitions.isEmpty()) return;
    for (TopicPartition partition : partitions) {
      ownerships.remove(partition.partition());
      uncommitted.remove(partition);
    }
    say(kind, list(partitions));
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
