package carrack.conformance.ons;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Polling;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.PullConsumer;
import com.aliyun.openservices.ons.api.TopicPartition;
import java.util.List;
import java.util.Properties;
import java.util.Set;

/** A pull consumer that is assigned all queues, and the loop that polls it. */
final class PullConsuming implements Client.Consumer {
    private static final long POLL_MS = 500;

    private final Events events;
    private final PullConsumer consumer;
    private final Set<TopicPartition> queues;
    private final Polling polling;

    /** Sets the position of one queue. */
    private interface Seek {
        void apply(TopicPartition queue) throws Exception;
    }

    PullConsuming(String endpoint, Subscription subscription, Events events) {
        Unsupported.refuseIf(!subscription.tags().equals("*"), "a filter of a pull consumer");
        Unsupported.refuseIf(subscription.sql() != null, "a filter of a pull consumer");
        subscription.refuseWhatNeedsListeners();
        this.events = events;
        Properties properties =
                Connection.properties(endpoint, subscription.group(), subscription.session());
        properties.setProperty(PropertyKeyConst.AUTO_COMMIT, "false");
        consumer = ONSFactory.createPullConsumer(properties);
        consumer.start();
        queues = consumer.topicPartitions(subscription.topic());
        consumer.assign(queues);
        polling = Polling.start(events, this::poll);
    }

    @Override
    public void seekToBegin() throws Exception {
        seek(queue -> consumer.seekToBeginning(queue));
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
                    for (TopicPartition queue : queues) {
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
        List<Message> messages = consumer.poll(POLL_MS);
        if (messages.isEmpty()) {
            return;
        }
        messages.forEach(message -> events.received(Connection.delivery(message)));
        consumer.commitSync();
        messages.forEach(message -> events.acked(Connection.keys(message)));
    }
}
