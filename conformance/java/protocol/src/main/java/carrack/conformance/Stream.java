package carrack.conformance;

import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Lanes that send at a fixed rate, each one message after the other, until they are stopped. */
final class Stream {
    /** Before a lane sends a message again that is not to be overtaken. */
    private static final long AGAIN_MS = 100;

    private final CountDownLatch stopping = new CountDownLatch(1);
    private final List<Thread> lanes = new ArrayList<>();
    private final Client.Producer producer;
    private final Events events;
    private final String topic;
    private final String prefix;
    private final long intervalMs;
    private final boolean ordered;
    private final String groupProperty;

    private Stream(JsonObject command, Client.Producer producer, Events events) {
        this.producer = producer;
        this.events = events;
        topic = Json.text(command, "topic");
        prefix = Json.text(command, "prefix");
        intervalMs = Json.number(command, "interval_ms");
        ordered = Json.flag(command, "ordered");
        groupProperty = Json.text(command, "group_property");
    }

    static Stream start(JsonObject command, Client.Producer producer, Events events) {
        Stream stream = new Stream(command, producer, events);
        int count = Json.count(command, "lanes");
        for (int number = 0; number < count; number++) {
            String lane = stream.prefix + number;
            long delayMs = stream.intervalMs * number / count;
            stream.lanes.add(new Thread(() -> stream.run(lane, delayMs), lane));
        }
        stream.lanes.forEach(Thread::start);
        return stream;
    }

    /** Returns when no message is under way any more. */
    void stop() throws InterruptedException {
        stopping.countDown();
        for (Thread lane : lanes) {
            lane.join();
        }
    }

    /** A lane that falls behind leaves out what it missed; what it could not send then is not sent at all. */
    private void run(String lane, long delayMs) {
        long dueMs = nowMs() + delayMs;
        for (long number = 0; !stopsWithin(dueMs - nowMs()); number++) {
            Outgoing message = Outgoing.keyed(topic, lane + "-" + number, ordered ? lane : null);
            if (groupProperty != null) {
                message = message.withProperty(groupProperty, lane);
            }
            // What follows must not be stored first, so an application sends this one until it is.
            while (!send(message) && ordered && !stopsWithin(AGAIN_MS)) {}
            dueMs = Math.max(dueMs + intervalMs, nowMs());
        }
    }

    private boolean send(Outgoing message) {
        try {
            events.sent(message.key(), producer.send(message));
            return true;
        } catch (Exception reason) {
            events.sendFailed(message.key(), reason);
            return false;
        }
    }

    private boolean stopsWithin(long ms) {
        try {
            return stopping.await(Math.max(ms, 0), TimeUnit.MILLISECONDS);
        } catch (InterruptedException reason) {
            return true;
        }
    }

    private static long nowMs() {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime());
    }
}
