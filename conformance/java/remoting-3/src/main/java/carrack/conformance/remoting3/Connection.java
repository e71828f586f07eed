package carrack.conformance.remoting3;

import carrack.conformance.Delivery;
import carrack.conformance.Session;
import com.alibaba.rocketmq.client.ClientConfig;
import com.alibaba.rocketmq.common.message.MessageConst;
import com.alibaba.rocketmq.common.message.MessageExt;
import com.alibaba.rocketmq.remoting.RPCHook;
import java.util.List;
import java.util.UUID;

/** What producers and consumers have in common. */
final class Connection {
    /** How soon a retry topic that appears is seen; by default it takes up to 30 s. */
    private static final int ROUTE_POLL_MS = 2_000;

    private Connection() {}

    /** Everything but the credentials, which go into a constructor. */
    static void configure(ClientConfig client, String endpoint, Session session) {
        session.refuseUnless(false, true, false);
        client.setNamesrvAddr(endpoint);
        client.setInstanceName(UUID.randomUUID().toString());
        client.setPollNameServerInteval(ROUTE_POLL_MS);
    }

    static RPCHook signature(Session session) {
        return session.accessKey() == null ? null : new Signature(session.accessKey(), session.secretKey());
    }

    static Delivery delivery(MessageExt message) {
        return new Delivery(
                message.getTopic(),
                message.getMsgId(),
                keys(message),
                message.getTags(),
                message.getProperties(),
                message.getBody(),
                message.getReconsumeTimes() + 1);
    }

    static List<String> keys(MessageExt message) {
        String keys = message.getKeys();
        return keys == null ? List.of() : List.of(keys.split(MessageConst.KEY_SEPARATOR));
    }
}
