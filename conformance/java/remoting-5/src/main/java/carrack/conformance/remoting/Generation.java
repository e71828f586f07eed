package carrack.conformance.remoting;

import carrack.conformance.Outgoing;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** What differs between the generations: points in time and recall came with this one. */
final class Generation {
    private Generation() {}

    static void apply(Outgoing outgoing, Message message) {
        if (outgoing.delayMs() != null) {
            message.setDelayTimeMs(outgoing.delayMs());
        }
        if (outgoing.deliverAtMs() != null) {
            message.setDeliverTimeMs(outgoing.deliverAtMs());
        }
    }

    static String recallHandle(SendResult result) {
        return result.getRecallHandle();
    }

    static void recall(DefaultMQProducer producer, String topic, String recallHandle) throws Exception {
        producer.recallMessage(topic, recallHandle);
    }

    /** The name of this type moved between the generations. */
    static void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }
}
