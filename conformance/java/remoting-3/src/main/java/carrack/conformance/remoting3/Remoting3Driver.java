package carrack.conformance.remoting3;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.ProducerStart;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the Remoting client of the third generation; the endpoint is the name server address. */
public final class Remoting3Driver implements Client {
    private final String endpoint;
    private final Events events;

    private Remoting3Driver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, Remoting3Driver::new);
    }

    @Override
    public Producer produce(ProducerStart start) throws Exception {
        return new Producing(endpoint, start, events);
    }

    @Override
    public Consumer consume(Subscription subscription) throws Exception {
        Unsupported.refuseIf(subscription.sql() != null, "SQL filter");
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        return switch (subscription.kind()) {
            case "push" -> new PushConsuming(endpoint, subscription, events);
            case "lite-pull" -> new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        };
    }
}
