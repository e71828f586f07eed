package carrack.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A message that a command asks to send. What is absent is null. */
public record Outgoing(
        String topic,
        List<String> keys,
        String tag,
        Map<String, String> properties,
        byte[] body,
        String shardingKey,
        Integer delayLevel,
        Long delayMs,
        Long deliverAtMs,
        Integer priority,
        String liteTopic) {

    /** The key that the events of this message carry. */
    public String key() {
        return keys.get(0);
    }

    /** Whether it is to be held back until a point in time. */
    public boolean isTimed() {
        return delayMs != null || deliverAtMs != null;
    }

    /** The same with one property and no other. */
    Outgoing withProperty(String name, String value) {
        return new Outgoing(
                topic,
                keys,
                tag,
                Map.of(name, value),
                body,
                shardingKey,
                delayLevel,
                delayMs,
                deliverAtMs,
                priority,
                liteTopic);
    }

    static Outgoing of(JsonObject command) {
        Map<String, String> properties = new LinkedHashMap<>();
        if (command.has("properties")) {
            for (Map.Entry<String, JsonElement> entry : command.getAsJsonObject("properties").entrySet()) {
                properties.put(entry.getKey(), entry.getValue().getAsString());
            }
        }
        return new Outgoing(
                Json.text(command, "topic"),
                Json.texts(command, "keys"),
                Json.text(command, "tag"),
                properties,
                Base64.getDecoder().decode(Json.text(command, "body_base64")),
                Json.text(command, "sharding_key"),
                Json.count(command, "delay_level"),
                Json.number(command, "delay_ms"),
                Json.number(command, "deliver_at_ms"),
                Json.count(command, "priority"),
                Json.text(command, "lite_topic"));
    }

    /** One of many; a `#` in the sharding key stands for its number. */
    static Outgoing numbered(String topic, String prefix, int number, String shardingKey) {
        String own = shardingKey == null ? null : shardingKey.replace("#", Integer.toString(number));
        return keyed(topic, prefix + number, own);
    }

    static Outgoing keyed(String topic, String key, String shardingKey) {
        byte[] body = key.getBytes(StandardCharsets.UTF_8);
        return new Outgoing(topic, List.of(key), null, Map.of(), body, shardingKey, null, null, null, null, null);
    }
}
