package carrack.conformance;

import com.google.gson.JsonObject;
import java.util.Collection;
import java.util.Map;

/** What a command asks a consumer to receive. What is absent is null or false. */
public record Subscription(
        String kind,
        String topic,
        String group,
        String tags,
        String sql,
        boolean broadcasting,
        boolean ordered,
        String hold,
        String fail,
        Integer maxAttempts,
        Integer retryLevel,
        boolean lite,
        boolean replies,
        Map<String, Long> invisibleMs,
        Session session) {

    static Subscription of(JsonObject command) {
        return new Subscription(
                Json.text(command, "kind"),
                Json.text(command, "topic"),
                Json.text(command, "group"),
                Json.text(command, "tags"),
                Json.text(command, "sql"),
                "broadcasting".equals(Json.text(command, "model")),
                Json.flag(command, "ordered"),
                Json.text(command, "hold"),
                Json.text(command, "fail"),
                Json.count(command, "max_attempts"),
                Json.count(command, "retry_level"),
                Json.flag(command, "lite"),
                Json.flag(command, "replies"),
                Json.numbers(command, "invisible_ms"),
                Session.of(command));
    }

    /** Whether this delivery must not be acknowledged: the first of a held message, each of a failing one. */
    public boolean fails(Delivery delivery) {
        return (delivery.attempt() == 1 && startsWith(delivery.keys(), hold)) || startsWith(delivery.keys(), fail);
    }

    /** What a listener does: whether it reports success, which acknowledges the delivery. */
    public boolean listen(Delivery delivery, Events events) {
        events.received(delivery);
        if (fails(delivery)) {
            return false;
        }
        events.acked(delivery.keys());
        return true;
    }

    /** Refuses what no consumer that polls and commits offsets has. */
    public void refuseWhatNeedsListeners() {
        Unsupported.refuseIf(ordered, "a pull consumer with an ordered listener");
        Unsupported.refuseIf(broadcasting, "broadcasting to a pull consumer");
        Unsupported.refuseIf(maxAttempts != null, "attempts of a pull consumer");
    }

    /** The invisible duration that a message with these keys is to get, or null. */
    public Long invisibleMs(Collection<String> keys) {
        return invisibleMs.entrySet().stream()
                .filter(entry -> startsWith(keys, entry.getKey()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(null);
    }

    private static boolean startsWith(Collection<String> keys, String prefix) {
        return prefix != null && keys.stream().anyMatch(key -> key.startsWith(prefix));
    }
}
