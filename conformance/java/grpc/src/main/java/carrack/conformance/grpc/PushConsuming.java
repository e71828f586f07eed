package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Subscription;
import java.io.IOException;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A push consumer, whose listener decides by the keys of a message. */
final class PushConsuming implements Client.Consumer {
    private final Subscription subscription;
    private final Events events;
    private final PushConsumer consumer;

    PushConsuming(String endpoint, Subscription subscription, Events events) throws ClientException {
        this.subscription = subscription;
        this.events = events;
        consumer =
                Connection.PROVIDER
                        .newPushConsumerBuilder()
                        .setClientConfiguration(Connection.configuration(endpoint, subscription.session()))
                        .setConsumerGroup(subscription.group())
                        .setSubscriptionExpressions(Connection.expressions(subscription))
                        .setEnableFifoConsumeAccelerator(subscription.ordered())
                        .setMessageListener(this::consume)
                        .build();
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
