package carrack.conformance.ons;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.PullConsumer;
import com.aliyun.openservices.ons.api.TopicPartition;
import java.util.List;
import java.util.Properties;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.FutureTask;

/** A pull consumer that is assigned all queues, and the loop that polls it. */
final class PullConsuming {
    private static final long POLL_MS = 500;

    private final Events events;
    private final PullConsumer consumer;
    private final Set<TopicPartition> queues;
    private final Thread loop;
    /** What the loop does between two polls, so that nothing polled before comes after it. */
    private final Queue<FutureTask<?>> between = new ConcurrentLinkedQueue<>();
    private volatile boolean running = true;

    /** Sets the position of one queue. */
    interface Seek {
        void apply(PullConsumer consumer, TopicPartition queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) {
        Unsupported.refuseIf(!subscription.tags().equals("*"), "a filter of a pull consumer");
        Unsupported.refuseIf(subscription.sql() != null, "a filter of a pull consumer");
        Unsupported.refuseIf(subscription.ordered(), "a pull consumer with an ordered listener");
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting to a pull consumer");
        Unsupported.refuseIf(subscription.maxAttempts() != null, "attempts of a pull consumer");
        this.events = events;
        Properties properties =
                Connection.properties(endpoint, subscription.group(), subscription.session());
        properties.setProperty(PropertyKeyConst.AUTO_COMMIT, "false");
        consumer = ONSFactory.createPullConsumer(properties);
        consumer.start();
        queues = consumer.topicPartitions(subscription.topic());
        consumer.assign(queues);
        loop = new Thread(this::poll, "pull");
        loop.start();
    }

    void seek(Seek seek) throws Exception {
        FutureTask<?> task =
                new FutureTask<>(
                        () -> {
                            for (TopicPartition queue : queues) {
                                seek.apply(consumer, queue);
                            }
                            return null;
                        });
        between.add(task);
        task.get();
    }

    void stop() throws Exception {
        running = false;
        loop.join();
        consumer.shutdown();
    }

    private void poll() {
        while (running) {
            for (FutureTask<?> task = between.poll(); task != null; task = between.poll()) {
                task.run();
            }
            List<Message> messages = consumer.poll(POLL_MS);
            if (messages.isEmpty()) {
                continue;
            }
            messages.forEach(message -> Connection.report(events, message));
            consumer.commitSync();
            messages.forEach(message -> events.acked(Connection.keys(message)));
        }
    }
}
