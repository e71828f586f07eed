package carrack.conformance.ons;

import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Admin;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.client.rocketmq.PushConsumer;
import com.aliyun.openservices.ons.shaded.org.apache.rocketmq.client.consumer.ConsumeFromWhere;
import com.aliyun.openservices.ons.shaded.org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import java.lang.reflect.Field;

/** What differs between the generations: this one speaks gRPC v1, and compresses whatever is long. */
final class Generation {
    private Generation() {}

    static void sendUncompressed(Producer producer) {
        throw new Unsupported("long bodies that travel as they are");
    }

    /**
     * There is no property for it. By default a group begins at the end of a queue, and misses what is sent before its
     * consumer first asks for messages.
     */
    static void beginAtStart(Admin consumer) {
        try {
            Field inside = PushConsumer.class.getDeclaredField("defaultMQPushConsumer");
            inside.setAccessible(true);
            ((DefaultMQPushConsumer) inside.get(consumer))
                    .setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        } catch (ReflectiveOperationException reason) {
            throw new IllegalStateException(reason);
        }
    }
}
