package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Subscription;
import java.io.IOException;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A push consumer that chooses LiteTopics of its topic. */
final class LiteConsuming implements Client.Consumer {
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

    @Override
    public void subscribeLite(String liteTopic) throws ClientException {
        consumer.subscribeLite(liteTopic);
    }

    @Override
    public void unsubscribeLite(String liteTopic) throws ClientException {
        consumer.unsubscribeLite(liteTopic);
    }

    @Override
    public void stop() throws IOException {
        consumer.close();
    }

    private ConsumeResult consume(MessageView message) {
        boolean success = subscription.listen(Connection.delivery(message), events);
        return success ? ConsumeResult.SUCCESS : ConsumeResult.FAILURE;
    }
}
