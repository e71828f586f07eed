package carrack.conformance.ons;

import carrack.conformance.ProducerStart;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.impl.rocketmq.ProducerImpl;
import com.aliyun.openservices.shade.com.alibaba.rocketmq.client.producer.DefaultMQProducer;

/** What differs between the generations: this one speaks Remoting. */
final class Generation {
    private Generation() {}

    /** There is no property for it. */
    static void sendUncompressed(Producer producer) {
        DefaultMQProducer inside = ((ProducerImpl) producer).getDefaultMQProducer();
        inside.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        inside.setMaxMessageSize(ProducerStart.BODY_BYTES_MAX);
    }
}
