package carrack.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A message that a command asks to send. */
public record Outgoing(
        String topic, List<String> keys, String tag, Map<String, String> properties, byte[] body) {

    /** The key that the events of this message carry. */
    public String key() {
        return keys.get(0);
    }

    static Outgoing of(JsonObject command) {
        List<String> keys = new ArrayList<>();
        for (JsonElement key : command.getAsJsonArray("keys")) {
            keys.add(key.getAsString());
        }
        Map<String, String> properties = new LinkedHashMap<>();
        if (command.has("properties")) {
            for (Map.Entry<String, JsonElement> entry : command.getAsJsonObject("properties").entrySet()) {
                properties.put(entry.getKey(), entry.getValue().getAsString());
            }
        }
        String tag = command.has("tag") ? command.get("tag").getAsString() : null;
        byte[] body = Base64.getDecoder().decode(command.get("body_base64").getAsString());
        return new Outgoing(command.get("topic").getAsString(), keys, tag, properties, body);
    }

    static Outgoing numbered(String topic, String key) {
        return new Outgoing(topic, List.of(key), null, Map.of(), key.getBytes(StandardCharsets.UTF_8));
    }
}
