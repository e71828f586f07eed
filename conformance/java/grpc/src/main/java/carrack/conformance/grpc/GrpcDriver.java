package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/** Drives the gRPC client, with its default of TLS and any certificate. */
public final class GrpcDriver implements Client {
    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration AWAIT = Duration.ofSeconds(3);
    private static final Duration INVISIBLE = Duration.ofSeconds(10);
    /** Between a receive that failed and the next one. */
    private static final Duration PAUSE = Duration.ofMillis(100);
    private static final int BATCH = 32;

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration configuration;
    private final Events events;
    private Producer producer;
    private PushConsumer pushConsumer;
    private SimpleConsumer simpleConsumer;
    private Thread receiveLoop;
    private volatile boolean receiving;

    private GrpcDriver(String endpoint, Events events) {
        this.configuration =
                ClientConfiguration.newBuilder().setEndpoints(endpoint).setRequestTimeout(REQUEST_TIMEOUT).build();
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, GrpcDriver::new);
    }

    @Override
    public void startProducer(ProducerStart start) throws Exception {
        start.session().refuseUnless(false, false, false);
        Unsupported.refuseIf(start.transactions() || start.uncompressed(), "this kind of producer");
        producer =
                provider.newProducerBuilder()
                        .setClientConfiguration(configuration)
                        .setTopics(start.topics().toArray(new String[0]))
                        .build();
    }

    @Override
    public Sent send(Outgoing outgoing) throws Exception {
        Unsupported.refuseIf(
                outgoing.isTimed() || outgoing.delayLevel() != null || outgoing.shardingKey() != null,
                "this kind of message");
        MessageBuilder builder =
                provider.newMessageBuilder()
                        .setTopic(outgoing.topic())
                        .setKeys(outgoing.keys().toArray(new String[0]))
                        .setBody(outgoing.body());
        if (outgoing.tag() != null) {
            builder.setTag(outgoing.tag());
        }
        outgoing.properties().forEach(builder::addProperty);
        return new Sent(producer.send(builder.build()).getMessageId().toString());
    }

    @Override
    public void stopProducer() throws Exception {
        producer.close();
        producer = null;
    }

    @Override
    public void startConsumer(Subscription subscription) throws Exception {
        subscription.session().refuseUnless(false, false, false);
        Unsupported.refuseIf(
                subscription.sql() != null
                        || subscription.broadcasting()
                        || subscription.ordered()
                        || subscription.maxAttempts() != null
                        || subscription.replies(),
                "this kind of consumer");
        Map<String, FilterExpression> expressions =
                Map.of(
                        subscription.topic(),
                        new FilterExpression(subscription.tags(), FilterExpressionType.TAG));
        switch (subscription.kind()) {
            case "push" -> pushConsumer =
                    provider.newPushConsumerBuilder()
                            .setClientConfiguration(configuration)
                            .setConsumerGroup(subscription.group())
                            .setSubscriptionExpressions(expressions)
                            .setMessageListener(
                                    message -> {
                                        report(message);
                                        if (holds(subscription, message)) {
                                            return ConsumeResult.FAILURE;
                                        }
                                        events.acked(message.getKeys());
                                        return ConsumeResult.SUCCESS;
                                    })
                            .build();
            case "simple" -> {
                simpleConsumer =
                        provider.newSimpleConsumerBuilder()
                                .setClientConfiguration(configuration)
                                .setConsumerGroup(subscription.group())
                                .setSubscriptionExpressions(expressions)
                                .setAwaitDuration(AWAIT)
                                .build();
                receiving = true;
                receiveLoop = new Thread(() -> receive(subscription), "receive");
                receiveLoop.start();
            }
            default -> throw new IllegalArgumentException("unknown consumer kind " + subscription.kind());
        }
    }

    private void receive(Subscription subscription) {
        while (receiving) {
            try {
                for (MessageView message : simpleConsumer.receive(BATCH, INVISIBLE)) {
                    report(message);
                    if (!holds(subscription, message)) {
                        acknowledge(message);
                    }
                }
            } catch (Exception reason) {
                events.warning(reason);
                LockSupport.parkNanos(PAUSE.toNanos());
            }
        }
    }

    private static boolean holds(Subscription subscription, MessageView message) {
        return subscription.fails(message.getKeys(), message.getDeliveryAttempt());
    }

    private void acknowledge(MessageView message) {
        try {
            simpleConsumer.ack(message);
            events.acked(message.getKeys());
        } catch (Exception reason) {
            events.ackFailed(message.getKeys(), reason);
        }
    }

    @Override
    public void stopConsumer() throws Exception {
        if (pushConsumer != null) {
            pushConsumer.close();
            pushConsumer = null;
        }
        if (simpleConsumer != null) {
            receiving = false;
            receiveLoop.join();
            simpleConsumer.close();
            simpleConsumer = null;
        }
    }

    private void report(MessageView message) {
        ByteBuffer buffer = message.getBody();
        byte[] body = new byte[buffer.remaining()];
        buffer.get(body);
        events.received(
                message.getTopic(),
                message.getMessageId().toString(),
                message.getKeys(),
                message.getTag().orElse(null),
                message.getProperties(),
                body,
                message.getDeliveryAttempt());
    }
}
