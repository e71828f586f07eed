package carrack.conformance;

import java.util.Map;

/** How a transaction ends. */
public enum Decision {
    COMMIT,
    ROLLBACK,
    UNKNOWN;

    /** The property of a message that its checker answers by. */
    private static final String CHECK = "check";

    static Decision of(String text) {
        return switch (String.valueOf(text)) {
            case "commit" -> COMMIT;
            case "rollback" -> ROLLBACK;
            default -> UNKNOWN;
        };
    }

    /** What a checker says about a message with these properties. */
    public static Decision ofCheck(Map<?, ?> properties) {
        Object check = properties.get(CHECK);
        return of(check == null ? null : check.toString());
    }
}
