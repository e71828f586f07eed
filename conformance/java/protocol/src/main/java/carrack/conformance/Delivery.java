package carrack.conformance;

import java.util.Collection;
import java.util.Map;

/** A message as the library shows it to an application. Without a tag or LiteTopic, null; attempts count from 1. */
public record Delivery(
        String topic,
        String id,
        Collection<String> keys,
        String tag,
        Map<String, String> properties,
        byte[] body,
        int attempt,
        String liteTopic) {

    /** Of a library without LiteTopics. */
    public Delivery(
            String topic,
            String id,
            Collection<String> keys,
            String tag,
            Map<String, String> properties,
            byte[] body,
            int attempt) {
        this(topic, id, keys, tag, properties, body, attempt, null);
    }
}
