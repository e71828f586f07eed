package carrack.conformance.remoting3;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Subscription;
import com.alibaba.rocketmq.client.consumer.DefaultMQPushConsumer;
import com.alibaba.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import com.alibaba.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import com.alibaba.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import com.alibaba.rocketmq.client.consumer.listener.MessageListenerOrderly;
import com.alibaba.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import com.alibaba.rocketmq.client.hook.ConsumeMessageContext;
import com.alibaba.rocketmq.client.hook.ConsumeMessageHook;
import com.alibaba.rocketmq.common.consumer.ConsumeFromWhere;
import com.alibaba.rocketmq.common.message.MessageExt;
import com.alibaba.rocketmq.common.protocol.heartbeat.MessageModel;
import java.lang.reflect.Field;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;

/** A push consumer, whose listener decides by the keys of a message. */
final class PushConsuming implements Client.Consumer {
    private static final long LISTENERS_END_MS = 10_000;

    private final Subscription subscription;
    private final Events events;
    private final DefaultMQPushConsumer consumer;

    PushConsuming(String endpoint, Subscription subscription, Events events) throws Exception {
        this.subscription = subscription;
        this.events = events;
        consumer =
                new DefaultMQPushConsumer(
                        subscription.group(),
                        Connection.signature(subscription.session()),
                        new AllocateMessageQueueAveragely());
        Connection.configure(consumer, endpoint, subscription.session());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (subscription.broadcasting()) {
            consumer.setMessageModel(MessageModel.BROADCASTING);
        }
        if (subscription.maxAttempts() != null) {
            consumer.setMaxReconsumeTimes(subscription.maxAttempts() - 1);
        }
        // Without a hook, the library throws after every message and never reports a result.
        consumer.getDefaultMQPushConsumerImpl().registerConsumeMessageHook(new NoHook());
        consumer.subscribe(subscription.topic(), subscription.tags());
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
    public void stop() throws Exception {
        endListeners();
        awaitTimer();
        consumer.shutdown();
    }

    /**
     * The timer that tells offsets reads one and sends it in two steps: one that it has read before the listeners
     * ended must not arrive after the last.
     */
    private void awaitTimer() throws Exception {
        consumer.getDefaultMQPushConsumerImpl()
                .getmQClientFactory()
                .getScheduledExecutorService()
                .submit(() -> {})
                .get(LISTENERS_END_MS, TimeUnit.MILLISECONDS);
    }

    /** The library stops without waiting for listeners and forgets what they did; it has no setting for it. */
    private void endListeners() throws Exception {
        consumer.suspend();
        Object service = consumer.getDefaultMQPushConsumerImpl().getConsumeMessageService();
        Field field = service.getClass().getDeclaredField("consumeExecutor");
        field.setAccessible(true);
        ExecutorService listeners = (ExecutorService) field.get(service);
        listeners.shutdown();
        listeners.awaitTermination(LISTENERS_END_MS, TimeUnit.MILLISECONDS);
    }

    /** Whether it is acknowledged. */
    private boolean consume(MessageExt message) {
        return subscription.listen(Connection.delivery(message), events);
    }

    private static final class NoHook implements ConsumeMessageHook {
        @Override
        public String hookName() {
            return "none";
        }

        @Override
        public void consumeMessageBefore(ConsumeMessageContext context) {}

        @Override
        public void consumeMessageAfter(ConsumeMessageContext context) {}
    }
}
