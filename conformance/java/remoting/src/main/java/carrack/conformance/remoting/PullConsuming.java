package carrack.conformance.remoting;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Polling;
import carrack.conformance.Subscription;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A lite pull consumer and the loop that polls it. */
final class PullConsuming implements Client.Consumer {
    private static final long POLL_MS = 500;

    private final Events events;
    private final DefaultLitePullConsumer consumer;
    private final Polling polling;

    /** Sets the position of one queue. */
    private interface Seek {
        void apply(MessageQueue queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) throws Exception {
        subscription.refuseWhatNeedsListeners();
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
        polling = Polling.start(events, this::poll);
    }

    @Override
    public void seekToBegin() throws Exception {
        seek(queue -> consumer.seekToBegin(queue));
    }

    @Override
    public void seekToEnd() throws Exception {
        seek(queue -> consumer.seekToEnd(queue));
    }

    @Override
    public void seekToTime(long timestampMs) throws Exception {
        seek(queue -> consumer.seek(queue, consumer.offsetForTimestamp(queue, timestampMs)));
    }

    private void seek(Seek seek) throws Exception {
        polling.between(
                () -> {
                    for (MessageQueue queue : consumer.assignment()) {
                        seek.apply(queue);
                    }
                    return null;
                });
    }

    @Override
    public void stop() throws Exception {
        polling.stop();
        consumer.shutdown();
    }

    private void poll() {
        List<MessageExt> messages = consumer.poll(POLL_MS);
        if (messages.isEmpty()) {
            return;
        }
        messages.forEach(message -> events.received(Connection.delivery(message)));
        consumer.commitSync();
        messages.forEach(message -> events.acked(Connection.keys(message)));
    }
}
