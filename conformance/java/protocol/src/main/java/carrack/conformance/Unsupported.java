package carrack.conformance;

/** The library has no such thing; see clients.rs for what each one lacks. */
public final class Unsupported extends RuntimeException {
    public Unsupported(String what) {
        super(what);
    }

    public static void refuseIf(boolean asked, String what) {
        if (asked) {
            throw new Unsupported(what);
        }
    }

    @Override
    public String toString() {
        return "unsupported: " + getMessage();
    }
}
