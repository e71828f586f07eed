package carrack.conformance;

import com.google.gson.JsonObject;

/**
 * Who a client says it is, whether it traces, and whether its timeouts and pauses are the library's own defaults.
 * Absent texts are null.
 */
public record Session(
        String namespace, String accessKey, String secretKey, boolean trace, boolean ownTimes) {

    static Session of(JsonObject command) {
        return new Session(
                Json.text(command, "namespace"),
                Json.text(command, "access_key"),
                Json.text(command, "secret_key"),
                Json.flag(command, "trace"),
                Json.flag(command, "own_times"));
    }

    /** Refuses what a library without these features would leave out silently. */
    public void refuseUnless(boolean namespaces, boolean credentials, boolean traces) {
        Unsupported.refuseIf(namespace != null && !namespaces, "namespace");
        Unsupported.refuseIf(accessKey != null && !credentials, "credentials");
        Unsupported.refuseIf(trace && !traces, "trace");
    }
}
