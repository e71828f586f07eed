package carrack.conformance.grpc;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A simple consumer and the loop that receives. */
final class SimpleConsuming {
    private static final Duration AWAIT = Duration.ofSeconds(3);
    private static final Duration INVISIBLE = Duration.ofSeconds(10);
    /** Between a receive that failed and the next one. */
    private static final Duration PAUSE = Duration.ofMillis(100);
    private static final int BATCH = 32;

    private final Subscription subscription;
    private final Events events;
    private final SimpleConsumer consumer;
    private final Thread loop;
    private volatile boolean receiving = true;

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
        loop = new Thread(this::receive, "receive");
        loop.start();
    }

    void stop() throws InterruptedException, IOException {
        receiving = false;
        loop.join();
        consumer.close();
    }

    private void receive() {
        while (receiving) {
            try {
                for (MessageView message : consumer.receive(BATCH, INVISIBLE)) {
                    Connection.report(events, message);
                    settle(message);
                }
            } catch (Exception reason) {
                events.warning(reason);
                LockSupport.parkNanos(PAUSE.toNanos());
            }
        }
    }

    private void settle(MessageView message) {
        try {
            Long invisibleMs = subscription.invisibleMs(message.getKeys());
            if (invisibleMs != null) {
                consumer.changeInvisibleDuration(message, Duration.ofMillis(invisibleMs));
            }
            if (!subscription.fails(message.getKeys(), message.getDeliveryAttempt())) {
                consumer.ack(message);
                events.acked(message.getKeys());
            }
        } catch (Exception reason) {
            events.ackFailed(message.getKeys(), reason);
        }
    }
}
