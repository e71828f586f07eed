package carrack.conformance.remoting;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.FutureTask;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A lite pull consumer and the loop that polls it. */
final class PullConsuming {
    private static final long POLL_MS = 500;

    private final Events events;
    private final DefaultLitePullConsumer consumer;
    private final Thread loop;
    /** What the loop does between two polls, so that nothing polled before comes after it. */
    private final Queue<FutureTask<?>> between = new ConcurrentLinkedQueue<>();
    private volatile boolean running = true;

    /** Sets the position of one queue. */
    interface Seek {
        void apply(DefaultLitePullConsumer consumer, MessageQueue queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) throws Exception {
        Unsupported.refuseIf(subscription.ordered(), "a pull consumer with an ordered listener");
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting to a pull consumer");
        Unsupported.refuseIf(subscription.maxAttempts() != null, "attempts of a pull consumer");
        this.events = events;
        consumer =
                new DefaultLitePullConsumer(
                        subscription.group(), Connection.signature(subscription.session()));
        Connection.configure(consumer, endpoint, subscription.session());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        if (subscription.sql() == null) {
            consumer.subscribe(subscription.topic(), subscription.tags());
        } else {
            consumer.subscribe(subscription.topic(), MessageSelector.bySql(subscription.sql()));
        }
        consumer.start();
        loop = new Thread(this::poll, "pull");
        loop.start();
    }

    void seek(Seek seek) throws Exception {
        FutureTask<?> task =
                new FutureTask<>(
                        () -> {
                            for (MessageQueue queue : consumer.assignment()) {
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
            List<MessageExt> messages = consumer.poll(POLL_MS);
            if (messages.isEmpty()) {
                continue;
            }
            messages.forEach(message -> Connection.report(events, message));
            consumer.commitSync();
            messages.forEach(message -> events.acked(Connection.keys(message)));
        }
    }
}
