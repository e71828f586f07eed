package carrack.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.PrintStream;
import java.util.Base64;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes events as JSON lines; safe to call from every thread of the client. */
public final class Events {
    private final Gson gson = new GsonBuilder().disableHtmlEscaping().create();
    private final PrintStream out;

    Events(PrintStream out) {
        this.out = out;
    }

    void ready() {
        write("ready", Map.of());
    }

    void sent(String key, Sent sent) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("key", key);
        fields.put("id", String.valueOf(sent.id()));
        if (sent.recallHandle() != null) {
            fields.put("recall_handle", sent.recallHandle());
        }
        write("sent", fields);
    }

    void replied(String key, byte[] body) {
        write("replied", Map.of("key", key, "body_base64", Base64.getEncoder().encodeToString(body)));
    }

    /** The checker was asked about the message with this key. */
    public void transactionChecked(String key) {
        write("transaction_checked", Map.of("key", key));
    }

    void sendFailed(String key, Throwable reason) {
        write("send_failed", Map.of("key", key, "error", String.valueOf(reason)));
    }

    public void received(Delivery delivery) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("topic", delivery.topic());
        fields.put("id", delivery.id());
        fields.put("keys", delivery.keys());
        if (delivery.tag() != null) {
            fields.put("tag", delivery.tag());
        }
        fields.put("properties", delivery.properties());
        fields.put("body_base64", Base64.getEncoder().encodeToString(delivery.body()));
        fields.put("attempt", delivery.attempt());
        if (delivery.liteTopic() != null) {
            fields.put("lite_topic", delivery.liteTopic());
        }
        write("received", fields);
    }

    public void acked(Collection<String> keys) {
        write("acked", Map.of("keys", keys));
    }

    public void ackFailed(Collection<String> keys, Throwable reason) {
        write("ack_failed", Map.of("keys", keys, "error", String.valueOf(reason)));
    }

    /** Something the client reported outside of any command; the runner only records it. */
    public void warning(Throwable reason) {
        write("warning", Map.of("error", String.valueOf(reason)));
    }

    void done(int command) {
        write("done", Map.of("command", command));
    }

    void failed(int command, Throwable reason) {
        write("failed", Map.of("command", command, "error", String.valueOf(reason)));
    }

    private void write(String name, Map<String, ?> fields) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", name);
        event.putAll(fields);
        String line = gson.toJson(event);
        synchronized (out) {
            out.print(line + "\n");
            out.flush();
        }
    }
}
