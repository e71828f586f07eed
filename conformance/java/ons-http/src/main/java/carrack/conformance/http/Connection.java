package carrack.conformance.http;

import carrack.conformance.Session;
import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.model.Message;
import java.util.List;

/** What producers and consumers have in common. */
final class Connection {
    static final int AWAIT_SECONDS = 3;
    static final int BATCH = 16;

    /** The library signs always, also where the server does not look. */
    private static final String ANY_KEY = "conformance";

    private static final String KEY_SEPARATOR = " ";

    private Connection() {}

    static MQClient client(String endpoint, Session session) {
        session.refuseUnless(true, true, false);
        boolean keys = session.accessKey() != null;
        return new MQClient(
                "http://" + endpoint,
                keys ? session.accessKey() : ANY_KEY,
                keys ? session.secretKey() : ANY_KEY);
    }

    static String joined(List<String> keys) {
        return String.join(KEY_SEPARATOR, keys);
    }

    static List<String> keys(Message message) {
        return List.of(message.getMessageKey().split(KEY_SEPARATOR));
    }
}
