package carrack.conformance.remoting;

import carrack.conformance.Delivery;
import carrack.conformance.Session;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/** What producers and consumers have in common. */
final class Connection {
    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final int REQUEST_TIMEOUT_MS = 10_000;

    /** How soon a retry topic that appears is seen; by default it takes up to 30 s. */
    private static final int ROUTE_POLL_MS = 2_000;

    private Connection() {}

    /** Everything but the credentials, which go into a constructor. */
    static void configure(ClientConfig client, String endpoint, Session session) {
        client.setNamesrvAddr(endpoint);
        client.setInstanceName(UUID.randomUUID().toString());
        if (!session.ownTimes()) {
            client.setMqClientApiTimeout(REQUEST_TIMEOUT_MS);
            client.setPollNameServerInterval(ROUTE_POLL_MS);
        }
        if (session.namespace() != null) {
            client.setNamespace(session.namespace());
        }
    }

    static RPCHook signature(Session session) {
        if (session.accessKey() == null) {
            return null;
        }
        return new AclClientRPCHook(new SessionCredentials(session.accessKey(), session.secretKey()));
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
        return keys == null ? new ArrayList<>() : List.of(keys.split(MessageConst.KEY_SEPARATOR));
    }
}
