package carrack.conformance.remoting;

import carrack.conformance.Outgoing;
import carrack.conformance.Unsupported;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;

/** What differs between the generations: this one knows delay levels only. */
final class Generation {
    private Generation() {}

    static void apply(Outgoing outgoing, Message message) {
        Unsupported.refuseIf(outgoing.isTimed(), "delivery at a point in time");
    }

    static String recallHandle(SendResult result) {
        return null;
    }

    static void recall(DefaultMQProducer producer, String topic, String recallHandle) {
        throw new Unsupported("recall");
    }

    /** The name of this type moved between the generations. */
    static void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }
}
