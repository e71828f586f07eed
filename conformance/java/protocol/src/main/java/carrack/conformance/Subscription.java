package carrack.conformance;

import com.google.gson.JsonObject;
import java.util.Collection;

/** What a command asks a consumer to receive. */
public record Subscription(String kind, String topic, String group, String tags, String hold) {

    static Subscription of(JsonObject command) {
        return new Subscription(
                command.get("kind").getAsString(),
                command.get("topic").getAsString(),
                command.get("group").getAsString(),
                command.get("tags").getAsString(),
                command.has("hold") ? command.get("hold").getAsString() : null);
    }

    /** Whether this delivery must not be acknowledged: the first one of a message with a held key. */
    public boolean holds(Collection<String> keys, int attempt) {
        return hold != null && attempt == 1 && keys.stream().anyMatch(key -> key.startsWith(hold));
    }
}
