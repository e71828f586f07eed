package carrack.conformance.remoting3;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Polling;
import carrack.conformance.Subscription;
import com.alibaba.rocketmq.client.consumer.DefaultMQPullConsumer;
import com.alibaba.rocketmq.client.consumer.PullResult;
import com.alibaba.rocketmq.client.consumer.PullStatus;
import com.alibaba.rocketmq.common.message.MessageExt;
import com.alibaba.rocketmq.common.message.MessageQueue;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

/** A pull consumer, the loop that pulls all queues in turn, and their positions, which are the application's. */
final class PullConsuming implements Client.Consumer {
    private static final int BATCH = 32;
    /** Between two rounds that brought nothing. */
    private static final long PAUSE_NS = 100_000_000;

    private final Subscription subscription;
    private final Events events;
    private final DefaultMQPullConsumer consumer;
    private final Map<MessageQueue, Long> positions = new LinkedHashMap<>();
    private final Polling polling;

    /** Finds a position in one queue. */
    private interface Position {
        long of(MessageQueue queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) throws Exception {
        subscription.refuseWhatNeedsListeners();
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
        polling = Polling.start(events, this::pull);
    }

    @Override
    public void seekToBegin() throws Exception {
        seek(queue -> consumer.minOffset(queue));
    }

    @Override
    public void seekToEnd() throws Exception {
        seek(queue -> consumer.maxOffset(queue));
    }

    @Override
    public void seekToTime(long timestampMs) throws Exception {
        seek(queue -> consumer.searchOffset(queue, timestampMs));
    }

    private void seek(Position position) throws Exception {
        polling.between(
                () -> {
                    for (MessageQueue queue : positions.keySet()) {
                        positions.put(queue, position.of(queue));
                    }
                    return null;
                });
    }

    @Override
    public void stop() throws Exception {
        polling.stop();
        consumer.shutdown();
    }

    private void pull() {
        boolean found = false;
        for (MessageQueue queue : positions.keySet()) {
            found |= pull(queue);
        }
        if (!found) {
            LockSupport.parkNanos(PAUSE_NS);
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
                events.received(Connection.delivery(message));
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
