package carrack.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Fields of commands; those that are absent have the value that the protocol gives them. */
final class Json {
    private Json() {}

    static String text(JsonObject command, String field) {
        return command.has(field) ? command.get(field).getAsString() : null;
    }

    static List<String> texts(JsonObject command, String field) {
        List<String> values = new ArrayList<>();
        for (JsonElement value : command.getAsJsonArray(field)) {
            values.add(value.getAsString());
        }
        return values;
    }

    static boolean flag(JsonObject command, String field) {
        return command.has(field) && command.get(field).getAsBoolean();
    }

    static Long number(JsonObject command, String field) {
        return command.has(field) ? command.get(field).getAsLong() : null;
    }

    static Integer count(JsonObject command, String field) {
        return command.has(field) ? command.get(field).getAsInt() : null;
    }

    static Map<String, Long> numbers(JsonObject command, String field) {
        Map<String, Long> values = new LinkedHashMap<>();
        if (command.has(field)) {
            command.getAsJsonObject(field)
                    .entrySet()
                    .forEach(entry -> values.put(entry.getKey(), entry.getValue().getAsLong()));
        }
        return values;
    }
}
