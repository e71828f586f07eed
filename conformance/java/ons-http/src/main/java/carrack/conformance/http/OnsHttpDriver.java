package carrack.conformance.http;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.ProducerStart;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the ONS client for HTTP. */
public final class OnsHttpDriver implements Client {
    private final String endpoint;
    private final Events events;

    private OnsHttpDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, OnsHttpDriver::new);
    }

    @Override
    public Producer produce(ProducerStart start) {
        return new Producing(endpoint, start, events);
    }

    @Override
    public Consumer consume(Subscription subscription) {
        Unsupported.refuseIf(!subscription.kind().equals("simple"), "consumer kind " + subscription.kind());
        Unsupported.refuseIf(subscription.sql() != null, "SQL92 filters");
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting");
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        return new SimpleConsuming(endpoint, subscription, events);
    }
}
