package carrack.conformance.grpc;

import carrack.conformance.Events;
import carrack.conformance.Subscription;
import java.io.IOException;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A push consumer that chooses LiteTopics of its topic. */
final class LiteConsuming {
    private final Subscription subscription;
    private final Events events;
    private final LitePushConsumer consumer;

    LiteConsuming(String endpoint, Subscription subscription, Events events) throws ClientException {
        this.subscription = subscription;
        this.events = events;
        consumer =
                Connection.PROVIDER
                        .newLitePushConsumerBuilder()
                        .setClientConfiguration(Connection.configuration(endpoint, subscription.session()))
                        .setConsumerGroup(subscription.group())
                        .bindTopic(subscription.topic())
                        .setMessageListener(this::consume)
                        .build();
    }

    void subscribe(String liteTopic) throws ClientException {
        consumer.subscribeLite(liteTopic);
    }

    void unsubscribe(String liteTopic) throws ClientException {
        consumer.unsubscribeLite(liteTopic);
    }

    void stop() throws IOException {
        consumer.close();
    }

    private ConsumeResult consume(MessageView message) {
        Connection.report(events, message);
        if (subscription.fails(message.getKeys(), message.getDeliveryAttempt())) {
            return ConsumeResult.FAILURE;
        }
        events.acked(message.getKeys());
        return ConsumeResult.SUCCESS;
    }
}
