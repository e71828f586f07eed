package carrack.conformance.remoting;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Session;
import carrack.conformance.Subscription;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** A push consumer, whose listener decides by the keys of a message. */
final class PushConsuming implements Client.Consumer {
    /** By default the client stops without waiting for listeners, and forgets what they have just done. */
    private static final long LISTENERS_END_MS = 10_000;

    private final Subscription subscription;
    private final Producing replies;
    private final Events events;
    private final DefaultMQPushConsumer consumer;

    /** The producer sends the replies to requests. */
    PushConsuming(String endpoint, Subscription subscription, Producing replies, Events events)
            throws Exception {
        this.subscription = subscription;
        this.replies = replies;
        this.events = events;
        Session session = subscription.session();
        consumer =
                new DefaultMQPushConsumer(
                        subscription.group(),
                        Connection.signature(session),
                        new AllocateMessageQueueAveragely(),
                        session.trace(),
                        null);
        Connection.configure(consumer, endpoint, session);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAwaitTerminationMillisWhenShutdown(LISTENERS_END_MS);
        if (subscription.broadcasting()) {
            Generation.broadcast(consumer);
        }
        if (subscription.maxAttempts() != null) {
            consumer.setMaxReconsumeTimes(subscription.maxAttempts() - 1);
        }
        if (subscription.sql() == null) {
            consumer.subscribe(subscription.topic(), subscription.tags());
        } else {
            consumer.subscribe(subscription.topic(), MessageSelector.bySql(subscription.sql()));
        }
        // A batch holds one message unless the application asks for more.
        if (subscription.ordered()) {
            consumer.registerMessageListener(
                    (MessageListenerOrderly)
                            (messages, context) ->
                                    consume(messages.get(0))
                                            ? ConsumeOrderlyStatus.SUCCESS
                                            : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        } else {
            consumer.registerMessageListener(
                    (MessageListenerConcurrently)
                            (messages, context) -> {
                                if (consume(messages.get(0))) {
                                    return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                                }
                                if (subscription.retryLevel() != null) {
                                    context.setDelayLevelWhenNextConsume(subscription.retryLevel());
                                }
                                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                            });
        }
        consumer.start();
    }

    @Override
    public void stop() {
        consumer.shutdown();
    }

    /** Whether it is acknowledged. */
    private boolean consume(MessageExt message) {
        boolean success = subscription.listen(Connection.delivery(message), events);
        if (success && subscription.replies()) {
            reply(message);
        }
        return success;
    }

    private void reply(MessageExt message) {
        try {
            String key = Connection.keys(message).get(0);
            replies.reply(message, key.getBytes(StandardCharsets.UTF_8));
        } catch (Exception reason) {
            events.warning(reason);
        }
    }
}
