package carrack.conformance;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;

/** Reads commands from standard input and carries them out, one after the other. See conformance/README.md. */
public final class Driver {
    private final Events events;
    private final Client client;
    private Client.Producer producer;
    private Client.Consumer consumer;
    private Stream stream;

    private Driver(Events events, Client client) {
        this.events = events;
        this.client = client;
    }

    /** Runs until the exit command or the end of input. Libraries that print to standard output end in stderr. */
    public static void run(String[] arguments, BiFunction<String, Events, Client> connect) throws IOException {
        PrintStream out =
                new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        System.setOut(System.err);
        if (arguments.length != 2 || !arguments[0].equals("--endpoint")) {
            System.err.println("usage: driver --endpoint HOST:PORT");
            System.exit(2);
        }
        Events events = new Events(out);
        Driver driver = new Driver(events, connect.apply(arguments[1], events));
        events.ready();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonObject command = JsonParser.parseString(line).getAsJsonObject();
            int number = command.get("command").getAsInt();
            try {
                driver.carryOut(command);
                events.done(number);
            } catch (Exception | LinkageError reason) {
                reason.printStackTrace();
                events.failed(number, reason);
            }
            if (command.get("op").getAsString().equals("exit")) {
                break;
            }
        }
        // Client libraries leave threads behind that would keep the process alive.
        System.exit(0);
    }

    private void carryOut(JsonObject command) throws Exception {
        String op = command.get("op").getAsString();
        switch (op) {
            case "producer.start" -> producer = client.produce(ProducerStart.of(command));
            case "producer.stop" -> producer.stop();
            case "send" -> send(Outgoing.of(command));
            case "send_many" -> sendMany(command);
            case "send_batch" -> sendBatch(Json.text(command, "topic"), Json.texts(command, "keys"));
            case "send_transaction" -> sendTransaction(Outgoing.of(command), Json.text(command, "local"));
            case "request" -> request(Outgoing.of(command), Json.number(command, "timeout_ms"));
            case "stream.start" -> stream = Stream.start(command, producer, events);
            case "stream.stop" -> stream.stop();
            case "recall" -> producer.recall(Json.text(command, "topic"), Json.text(command, "recall_handle"));
            case "consumer.start" -> consumer = client.consume(Subscription.of(command));
            case "consumer.seek" -> seek(Json.text(command, "to"), Json.number(command, "timestamp_ms"));
            case "consumer.subscribe_lite" -> consumer.subscribeLite(Json.text(command, "lite_topic"));
            case "consumer.unsubscribe_lite" -> consumer.unsubscribeLite(Json.text(command, "lite_topic"));
            case "consumer.stop" -> consumer.stop();
            case "exit" -> { }
            default -> throw new IllegalArgumentException("unknown op " + op);
        }
    }

    private void sendMany(JsonObject command) throws InterruptedException {
        String topic = Json.text(command, "topic");
        String prefix = Json.text(command, "prefix");
        String shardingKey = Json.text(command, "sharding_key");
        int count = command.get("count").getAsInt();
        if (count == 0) {
            return;
        }
        // Some libraries fail when many threads are the first to ask for a route at the same time.
        send(Outgoing.numbered(topic, prefix, 0, shardingKey));
        ExecutorService senders = Executors.newFixedThreadPool(command.get("concurrency").getAsInt());
        for (int index = 1; index < count; index++) {
            Outgoing message = Outgoing.numbered(topic, prefix, index, shardingKey);
            senders.execute(() -> send(message));
        }
        senders.shutdown();
        senders.awaitTermination(Long.MAX_VALUE, TimeUnit.SECONDS);
    }

    private void send(Outgoing message) {
        report(message, () -> events.sent(message.key(), producer.send(message)));
    }

    private void sendBatch(String topic, List<String> keys) {
        List<Outgoing> messages = keys.stream().map(key -> Outgoing.keyed(topic, key, null)).toList();
        try {
            List<Sent> sent = producer.sendBatch(messages);
            for (int index = 0; index < messages.size(); index++) {
                events.sent(keys.get(index), sent.get(index));
            }
        } catch (Unsupported reason) {
            throw reason;
        } catch (Exception reason) {
            keys.forEach(key -> events.sendFailed(key, reason));
        }
    }

    private void sendTransaction(Outgoing message, String local) {
        report(message, () -> events.sent(message.key(), producer.sendTransaction(message, Decision.of(local))));
    }

    private void request(Outgoing message, long timeoutMs) {
        report(message, () -> events.replied(message.key(), producer.request(message, timeoutMs)));
    }

    private void seek(String to, Long timestampMs) throws Exception {
        switch (to) {
            case "begin" -> consumer.seekToBegin();
            case "end" -> consumer.seekToEnd();
            default -> consumer.seekToTime(timestampMs);
        }
    }

    private interface Sending {
        void run() throws Exception;
    }

    /** A failure of the message is an event; that the library has no such thing is one of the command. */
    private void report(Outgoing message, Sending sending) {
        try {
            sending.run();
        } catch (Unsupported reason) {
            throw reason;
        } catch (Exception reason) {
            events.sendFailed(message.key(), reason);
        }
    }
}
