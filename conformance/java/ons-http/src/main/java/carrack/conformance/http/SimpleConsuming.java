package carrack.conformance.http;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.MQConsumer;
import com.aliyun.mq.http.model.Message;
import java.util.List;

/** A consumer and the loop that receives. */
final class SimpleConsuming {
    private final Subscription subscription;
    private final Events events;
    private final MQClient client;
    private final MQConsumer consumer;
    private final Loop loop;

    SimpleConsuming(String endpoint, Subscription subscription, Events events) {
        this.subscription = subscription;
        this.events = events;
        client = Connection.client(endpoint, subscription.session());
        String instance = subscription.session().namespace();
        consumer = client.getConsumer(instance, subscription.topic(), subscription.group(), subscription.tags());
        loop = new Loop(events, this::receive);
    }

    void stop() throws InterruptedException {
        loop.stop();
        client.close();
    }

    private void receive() {
        List<Message> messages =
                subscription.ordered()
                        ? consumer.consumeMessageOrderly(Connection.BATCH, Connection.AWAIT_SECONDS)
                        : consumer.consumeMessage(Connection.BATCH, Connection.AWAIT_SECONDS);
        if (messages == null) {
            return;
        }
        for (Message message : messages) {
            List<String> keys = Connection.keys(message);
            events.received(
                    subscription.topic(),
                    message.getMessageId(),
                    keys,
                    message.getMessageTag(),
                    message.getProperties(),
                    message.getMessageBodyBytes(),
                    message.getConsumedTimes());
            if (!subscription.fails(keys, message.getConsumedTimes())) {
                ack(message, keys);
            }
        }
    }

    private void ack(Message message, List<String> keys) {
        try {
            consumer.ackMessage(List.of(message.getReceiptHandle()));
            events.acked(keys);
        } catch (RuntimeException reason) {
            events.ackFailed(keys, reason);
        }
    }
}
