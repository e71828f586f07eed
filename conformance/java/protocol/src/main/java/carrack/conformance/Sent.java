package carrack.conformance;

/** What the library says of a message that the server took; without a handle, null. */
public record Sent(String id, String recallHandle) {
    public Sent(String id) {
        this(id, null);
    }
}
