package carrack.conformance;

import com.google.gson.JsonObject;
import java.util.List;

/** How a command asks to start the producer. */
public record ProducerStart(
        String group, List<String> topics, boolean transactions, boolean uncompressed, Session session) {

    /** A limit of the library's own must not be lower than this. */
    public static final int BODY_BYTES_MAX = 8 << 20;

    static ProducerStart of(JsonObject command) {
        return new ProducerStart(
                Json.text(command, "group"),
                Json.texts(command, "topics"),
                "transaction".equals(Json.text(command, "kind")),
                Json.flag(command, "uncompressed"),
                Session.of(command));
    }
}
