package carrack.conformance.http;

import carrack.conformance.Client;
import carrack.conformance.Delivery;
import carrack.conformance.Events;
import carrack.conformance.Polling;
import carrack.conformance.Subscription;
import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.MQConsumer;
import com.aliyun.mq.http.model.Message;
import java.util.Collection;
import java.util.List;

/** A consumer and the loop that receives. */
final class SimpleConsuming implements Client.Consumer {
    private final Subscription subscription;
    private final Events events;
    private final MQClient client;
    private final MQConsumer consumer;
    private final Polling polling;

    SimpleConsuming(String endpoint, Subscription subscription, Events events) {
        this.subscription = subscription;
        this.events = events;
        client = Connection.client(endpoint, subscription.session());
        String instance = subscription.session().namespace();
        consumer = client.getConsumer(instance, subscription.topic(), subscription.group(), subscription.tags());
        polling = Polling.start(events, this::receive);
    }

    @Override
    public void stop() throws InterruptedException {
        polling.stop();
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
            Delivery delivery =
                    new Delivery(
                            subscription.topic(),
                            message.getMessageId(),
                            Connection.keys(message),
                            message.getMessageTag(),
                            message.getProperties(),
                            message.getMessageBodyBytes(),
                            message.getConsumedTimes());
            events.received(delivery);
            if (!subscription.fails(delivery)) {
                ack(message, delivery.keys());
            }
        }
    }

    private void ack(Message message, Collection<String> keys) {
        try {
            consumer.ackMessage(List.of(message.getReceiptHandle()));
            events.acked(keys);
        } catch (RuntimeException reason) {
            events.ackFailed(keys, reason);
        }
    }
}
