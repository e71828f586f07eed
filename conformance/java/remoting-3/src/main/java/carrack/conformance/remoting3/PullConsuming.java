package carrack.conformance.remoting3;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import com.alibaba.rocketmq.client.consumer.DefaultMQPullConsumer;
import com.alibaba.rocketmq.client.consumer.PullResult;
import com.alibaba.rocketmq.client.consumer.PullStatus;
import com.alibaba.rocketmq.common.message.MessageExt;
import com.alibaba.rocketmq.common.message.MessageQueue;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.LockSupport;

/** A pull consumer, the loop that pulls all queues in turn, and their positions, which are the application's. */
final class PullConsuming {
    private static final int BATCH = 32;
    /** Between two rounds that brought nothing. */
    private static final long PAUSE_NS = 100_000_000;

    private final Subscription subscription;
    private final Events events;
    private final DefaultMQPullConsumer consumer;
    private final Map<MessageQueue, Long> positions = new LinkedHashMap<>();
    private final Thread loop;
    /** What the loop does between two rounds, so that nothing pulled before comes after it. */
    private final Queue<FutureTask<?>> between = new ConcurrentLinkedQueue<>();
    private volatile boolean running = true;

    /** Finds a position in one queue. */
    interface Position {
        long of(DefaultMQPullConsumer consumer, MessageQueue queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) throws Exception {
        Unsupported.refuseIf(subscription.ordered(), "a pull consumer with an ordered listener");
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting to a pull consumer");
        Unsupported.refuseIf(subscription.maxAttempts() != null, "attempts of a pull consumer");
        this.subscription = subscription;
        this.events = events;
        consumer =
                new DefaultMQPullConsumer(
                        subscription.group(), Connection.signature(subscription.session()));
        Connection.configure(consumer, endpoint, subscription.session());
        consumer.start();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(subscription.topic())) {
            long committed = consumer.fetchConsumeOffset(queue, true);
            positions.put(queue, committed < 0 ? consumer.minOffset(queue) : committed);
        }
        loop = new Thread(this::pull, "pull");
        loop.start();
    }

    void seek(Position position) throws Exception {
        FutureTask<?> task =
                new FutureTask<>(
                        () -> {
                            for (MessageQueue queue : positions.keySet()) {
                                positions.put(queue, position.of(consumer, queue));
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

    private void pull() {
        while (running) {
            for (FutureTask<?> task = between.poll(); task != null; task = between.poll()) {
                task.run();
            }
            boolean found = false;
            for (MessageQueue queue : positions.keySet()) {
                found |= pull(queue);
            }
            if (!found) {
                LockSupport.parkNanos(PAUSE_NS);
            }
        }
    }

    private boolean pull(MessageQueue queue) {
        try {
            PullResult result = consumer.pull(queue, subscription.tags(), positions.get(queue), BATCH);
            positions.put(queue, result.getNextBeginOffset());
            if (result.getPullStatus() != PullStatus.FOUND) {
                return false;
            }
            for (MessageExt message : result.getMsgFoundList()) {
                Connection.report(events, message);
            }
            consumer.updateConsumeOffset(queue, result.getNextBeginOffset());
            consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persist(queue);
            for (MessageExt message : result.getMsgFoundList()) {
                events.acked(Connection.keys(message));
            }
            return true;
        } catch (Exception reason) {
            events.warning(reason);
            return false;
        }
    }
}
