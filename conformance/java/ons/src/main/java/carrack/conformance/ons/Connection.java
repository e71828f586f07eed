package carrack.conformance.ons;

import carrack.conformance.Delivery;
import carrack.conformance.Session;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.stream.Collectors;

/** What producers and consumers have in common. */
final class Connection {
    /** The library demands keys and signs with them, also where the server does not look. */
    private static final String ANY_KEY = "conformance";

    private static final String KEY_SEPARATOR = " ";

    private Connection() {}

    static Properties properties(String endpoint, String group, Session session) {
        Properties properties = new Properties();
        properties.setProperty(PropertyKeyConst.NAMESRV_ADDR, endpoint);
        properties.setProperty(PropertyKeyConst.GROUP_ID, group);
        properties.setProperty(PropertyKeyConst.InstanceName, UUID.randomUUID().toString());
        properties.setProperty(PropertyKeyConst.MsgTraceSwitch, String.valueOf(session.trace()));
        boolean keys = session.accessKey() != null;
        properties.setProperty(PropertyKeyConst.AccessKey, keys ? session.accessKey() : ANY_KEY);
        properties.setProperty(PropertyKeyConst.SecretKey, keys ? session.secretKey() : ANY_KEY);
        if (session.namespace() != null) {
            properties.setProperty(PropertyKeyConst.INSTANCE_ID, session.namespace());
        }
        return properties;
    }

    static Delivery delivery(Message message) {
        return new Delivery(
                message.getTopic(),
                message.getMsgID(),
                keys(message),
                message.getTag() == null || message.getTag().isEmpty() ? null : message.getTag(),
                userProperties(message),
                message.getBody(),
                message.getReconsumeTimes() + 1);
    }

    static List<String> keys(Message message) {
        String keys = message.getKey();
        return keys == null || keys.isEmpty() ? List.of() : List.of(keys.split(KEY_SEPARATOR));
    }

    static String joined(List<String> keys) {
        return String.join(KEY_SEPARATOR, keys);
    }

    static Map<String, String> userProperties(Message message) {
        Properties properties = message.getUserProperties();
        if (properties == null) {
            return Map.of();
        }
        return properties.entrySet().stream()
                .collect(Collectors.toMap(entry -> (String) entry.getKey(), entry -> (String) entry.getValue()));
    }
}
