package carrack.mqadmin;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * What clients do between commands.
 *
 * <ul>
 *   <li>{@code !ready} waits until the broker is known to the name server.
 *   <li>{@code !routed TOPIC} waits until the topic has a route.
 *   <li>{@code !stored TOPIC COUNT} waits until a topic has so many messages.
 *   <li>{@code !producer GROUP traced|plain} starts a producer.
 *   <li>{@code !send GROUP TOPIC QUEUE TAG KEY BODY NAME} sends one message; its ids become the
 *       values {@code NAME.unique} and {@code NAME.offset}.
 *   <li>{@code !lite GROUP TOPIC LITETOPIC BODY} sends one message to a LiteTopic.
 *   <li>{@code !consumer GROUP TOPIC FILTER clustering|broadcasting} starts a push consumer.
 *   <li>{@code !consumed GROUP COUNT} waits until it has had so many, and until the server knows
 *       that there are no more.
 *   <li>{@code !stop GROUP} stops a producer or consumer.
 *   <li>{@code !sleep MILLISECONDS} lets time pass.
 *   <li>{@code !now NAME} leaves the time in milliseconds.
 * </ul>
 */
final class Clients {
    private static final long WAIT_MILLISECONDS = 30_000;

    private final Map<String, String> values;
    private final Map<String, DefaultMQProducer> producers = new HashMap<>();
    private final Map<String, DefaultMQPushConsumer> consumers = new HashMap<>();
    private final Map<String, AtomicInteger> counts = new HashMap<>();

    Clients(Map<String, String> values) {
        this.values = values;
    }

    void step(String[] words, PrintStream out) throws Exception {
        switch (words[0]) {
            case "!ready" -> ready();
            case "!routed" -> routed(words[1]);
            case "!stored" -> stored(words[1], Long.parseLong(words[2]));
            case "!producer" -> producer(words[1], words[2].equals("traced"));
            case "!send" -> send(words);
            case "!lite" -> lite(words[1], words[2], words[3], words[4]);
            case "!consumer" -> consumer(words[1], words[2], words[3], words[4]);
            case "!consumed" -> consumed(words[1], Integer.parseInt(words[2]), out);
            case "!stop" -> stop(words[1]);
            case "!sleep" -> Thread.sleep(Long.parseLong(words[1]));
            case "!now" -> values.put(words[1], Long.toString(System.currentTimeMillis()));
            default -> throw new IllegalArgumentException("step " + words[0]);
        }
    }

    private void ready() throws Exception {
        until(admin -> !admin.examineBrokerClusterInfo().getBrokerAddrTable().isEmpty());
    }

    /** Waits until a route is known for a topic, which brokers register a moment after it is made. */
    private void routed(String topic) throws Exception {
        until(admin -> admin.examineTopicRouteInfo(topic) != null);
    }

    private void stored(String topic, long wanted) throws Exception {
        until(admin -> {
            long count = 0;
            for (TopicOffset offset : admin.examineTopicStats(topic).getOffsetTable().values()) {
                count += offset.getMaxOffset() - offset.getMinOffset();
            }
            return count >= wanted;
        });
    }

    /** What may fail as long as it is not so yet. */
    private interface Condition {
        boolean holds(DefaultMQAdminExt admin) throws Exception;
    }

    private void until(Condition condition) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(values.get("namesrv"));
        admin.setInstanceName("until");
        admin.start();
        try {
            long end = System.currentTimeMillis() + WAIT_MILLISECONDS;
            while (!holds(condition, admin)) {
                if (System.currentTimeMillis() > end) {
                    throw new IllegalStateException("it did not become so in time");
                }
                Thread.sleep(50);
            }
        } finally {
            admin.shutdown();
        }
    }

    private static boolean holds(Condition condition, DefaultMQAdminExt admin) throws Exception {
        try {
            return condition.holds(admin);
        } catch (MQClientException | MQBrokerException error) {
            return false;
        }
    }

    private void producer(String group, boolean traced) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setEnableTrace(traced);
        producer.setNamesrvAddr(values.get("namesrv"));
        producer.setInstanceName(group);
        producer.start();
        producers.put(group, producer);
    }

    private void send(String[] words) throws Exception {
        String topic = words[2];
        Message message = new Message(
            topic, words[4], words[5], words[6].getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("colour", "blue");
        MessageQueue queue =
            new MessageQueue(topic, values.get("broker"), Integer.parseInt(words[3]));
        DefaultMQProducer producer = producers.get(words[1]);
        SendResult sent = producer.send(message, queue, 10_000);
        // Brokers that were not known at the start are told of the producer now, not in a while.
        producer.getDefaultMQProducerImpl().getMqClientFactory()
            .sendHeartbeatToAllBrokerWithLock();
        values.put(words[7] + ".unique", sent.getMsgId());
        values.put(words[7] + ".offset", sent.getOffsetMsgId());
    }

    private void lite(String group, String topic, String liteTopic, String body)
        throws Exception {
        Message message = new Message(topic, body.getBytes(StandardCharsets.UTF_8));
        MessageAccessor.putProperty(message, MessageConst.PROPERTY_LITE_TOPIC, liteTopic);
        producers.get(group).send(message, 10_000);
    }

    private void consumer(String group, String topic, String filter, String model)
        throws Exception {
        AtomicInteger count = new AtomicInteger();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(values.get("namesrv"));
        consumer.setInstanceName(group);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (model.equals("broadcasting")) {
            consumer.setMessageModel(MessageModel.BROADCASTING);
        }
        consumer.subscribe(topic, filter);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            count.addAndGet(messages.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        consumers.put(group, consumer);
        counts.put(group, count);
        values.put(group + ".client",
            consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId());
    }

    private void consumed(String group, int wanted, PrintStream out) throws Exception {
        long end = System.currentTimeMillis() + WAIT_MILLISECONDS;
        AtomicInteger count = counts.get(group);
        while (count.get() < wanted && System.currentTimeMillis() < end) {
            Thread.sleep(20);
        }
        // A message is done a moment after its listener has returned.
        until(admin -> {
            consumers.get(group).getDefaultMQPushConsumerImpl().persistConsumerOffset();
            return admin.examineConsumeStats(group).computeTotalDiff() == 0;
        });
        out.println("consumed " + count.get());
    }

    private void stop(String group) {
        DefaultMQProducer producer = producers.remove(group);
        if (producer != null) {
            producer.shutdown();
        }
        DefaultMQPushConsumer consumer = consumers.remove(group);
        if (consumer != null) {
            consumer.shutdown();
        }
    }
}
