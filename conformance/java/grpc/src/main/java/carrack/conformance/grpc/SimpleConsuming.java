package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Delivery;
import carrack.conformance.Events;
import carrack.conformance.Polling;
import carrack.conformance.Subscription;
import java.io.IOException;
import java.time.Duration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A simple consumer and the loop that receives. */
final class SimpleConsuming implements Client.Consumer {
    private static final Duration AWAIT = Duration.ofSeconds(3);
    private static final Duration INVISIBLE = Duration.ofSeconds(10);
    private static final int BATCH = 32;

    private final Subscription subscription;
    private final Events events;
    private final SimpleConsumer consumer;
    private final Polling polling;

    SimpleConsuming(String endpoint, Subscription subscription, Events events) throws ClientException {
        this.subscription = subscription;
        this.events = events;
        consumer =
                Connection.PROVIDER
                        .newSimpleConsumerBuilder()
                        .setClientConfiguration(Connection.configuration(endpoint, subscription.session()))
                        .setConsumerGroup(subscription.group())
                        .setSubscriptionExpressions(Connection.expressions(subscription))
                        .setAwaitDuration(AWAIT)
                        .build();
        polling = Polling.start(events, this::receive);
    }

    @Override
    public void stop() throws InterruptedException, IOException {
        polling.stop();
        consumer.close();
    }

    private void receive() throws ClientException {
        for (MessageView message : consumer.receive(BATCH, INVISIBLE)) {
            Delivery delivery = Connection.delivery(message);
            events.received(delivery);
            settle(message, delivery);
        }
    }

    private void settle(MessageView message, Delivery delivery) {
        try {
            Long invisibleMs = subscription.invisibleMs(message.getKeys());
            if (invisibleMs != null) {
                consumer.changeInvisibleDuration(message, Duration.ofMillis(invisibleMs));
            }
            if (!subscription.fails(delivery)) {
                consumer.ack(message);
                events.acked(message.getKeys());
            }
        } catch (Exception reason) {
            events.ackFailed(message.getKeys(), reason);
        }
    }
}
