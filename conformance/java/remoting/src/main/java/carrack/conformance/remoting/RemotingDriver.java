package carrack.conformance.remoting;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.Subscription;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;

/** Drives the Remoting client; the endpoint is the name server address. */
public final class RemotingDriver implements Client {
    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final int SEND_TIMEOUT_MS = 10_000;
    /** By default the client stops without waiting for listeners, and forgets what they have just done. */
    private static final long LISTENERS_END_MS = 10_000;

    private final String endpoint;
    private final Events events;
    private DefaultMQProducer producer;
    private DefaultMQPushConsumer pushConsumer;
    private DefaultLitePullConsumer pullConsumer;
    private Thread pullLoop;
    private volatile boolean pulling;

    private RemotingDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, RemotingDriver::new);
    }

    @Override
    public void startProducer(String group, List<String> topics) throws Exception {
        producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(endpoint);
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        producer.setInstanceName(UUID.randomUUID().toString());
        producer.start();
    }

    @Override
    public String send(Outgoing outgoing) throws Exception {
        Message message = new Message(outgoing.topic(), outgoing.body());
        message.setKeys(outgoing.keys());
        if (outgoing.tag() != null) {
            message.setTags(outgoing.tag());
        }
        outgoing.properties().forEach(message::putUserProperty);
        SendResult result = producer.send(message);
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("send status " + result.getSendStatus());
        }
        return result.getMsgId();
    }

    @Override
    public void stopProducer() {
        producer.shutdown();
        producer = null;
    }

    @Override
    public void startConsumer(Subscription subscription) throws Exception {
        switch (subscription.kind()) {
            case "push" -> startPush(subscription);
            case "lite-pull" -> startLitePull(subscription);
            default -> throw new IllegalArgumentException("unknown consumer kind " + subscription.kind());
        }
    }

    private void startPush(Subscription subscription) throws Exception {
        pushConsumer = new DefaultMQPushConsumer(subscription.group());
        pushConsumer.setNamesrvAddr(endpoint);
        pushConsumer.setInstanceName(UUID.randomUUID().toString());
        pushConsumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        pushConsumer.setAwaitTerminationMillisWhenShutdown(LISTENERS_END_MS);
        pushConsumer.subscribe(subscription.topic(), subscription.tags());
        pushConsumer.registerMessageListener(
                (MessageListenerConcurrently)
                        (messages, context) -> {
                            // A batch holds one message unless the application asks for more.
                            MessageExt message = messages.get(0);
                            report(message);
                            if (subscription.holds(keys(message), attempt(message))) {
                                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                            }
                            events.acked(keys(message));
                            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                        });
        pushConsumer.start();
    }

    private void startLitePull(Subscription subscription) throws Exception {
        pullConsumer = new DefaultLitePullConsumer(subscription.group());
        pullConsumer.setNamesrvAddr(endpoint);
        pullConsumer.setInstanceName(UUID.randomUUID().toString());
        pullConsumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        pullConsumer.setAutoCommit(false);
        pullConsumer.subscribe(subscription.topic(), subscription.tags());
        pullConsumer.start();
        pulling = true;
        pullLoop = new Thread(this::pull, "pull");
        pullLoop.start();
    }

    private void pull() {
        while (pulling) {
            List<MessageExt> messages = pullConsumer.poll(500);
            if (messages.isEmpty()) {
                continue;
            }
            messages.forEach(this::report);
            pullConsumer.commitSync();
            messages.forEach(message -> events.acked(keys(message)));
        }
    }

    @Override
    public void stopConsumer() throws Exception {
        if (pushConsumer != null) {
            pushConsumer.shutdown();
            pushConsumer = null;
        }
        if (pullConsumer != null) {
            pulling = false;
            pullLoop.join();
            pullConsumer.shutdown();
            pullConsumer = null;
        }
    }

    private void report(MessageExt message) {
        events.received(
                message.getTopic(),
                message.getMsgId(),
                keys(message),
                message.getTags(),
                message.getProperties(),
                message.getBody(),
                attempt(message));
    }

    private static int attempt(MessageExt message) {
        return message.getReconsumeTimes() + 1;
    }

    private static List<String> keys(MessageExt message) {
        String keys = message.getKeys();
        return keys == null ? new ArrayList<>() : List.of(keys.split(MessageConst.KEY_SEPARATOR));
    }
}
