package carrack.conformance.ons;

import carrack.conformance.ProducerStart;
import com.aliyun.openservices.ons.api.Admin;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.impl.rocketmq.ONSConsumerAbstract;
import com.aliyun.openservices.ons.api.impl.rocketmq.ProducerImpl;
import com.aliyun.openservices.shade.com.alibaba.rocketmq.client.consumer.DefaultMQPushConsumer;
import com.aliyun.openservices.shade.com.alibaba.rocketmq.client.producer.DefaultMQProducer;
import com.aliyun.openservices.shade.com.alibaba.rocketmq.common.consumer.ConsumeFromWhere;
import java.lang.reflect.Field;

/** What differs between the generations: this one speaks Remoting. */
final class Generation {
    private Generation() {}

    /** There is no property for it. */
    static void sendUncompressed(Producer producer) {
        DefaultMQProducer inside = ((ProducerImpl) producer).getDefaultMQProducer();
        inside.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        inside.setMaxMessageSize(ProducerStart.BODY_BYTES_MAX);
    }

    /**
     * There is no property for it. By default a group begins at the end of a queue, and misses what is sent while it
     * looks for that end.
     */
    static void beginAtStart(Admin consumer) {
        try {
            Field inside = ONSConsumerAbstract.class.getDeclaredField("defaultMQPushConsumer");
            inside.setAccessible(true);
            ((DefaultMQPushConsumer) inside.get(consumer))
                    .setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        } catch (ReflectiveOperationException reason) {
            throw new IllegalStateException(reason);
        }
    }
}
