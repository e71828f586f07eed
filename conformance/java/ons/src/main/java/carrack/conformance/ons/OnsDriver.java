package carrack.conformance.ons;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.ProducerStart;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the ONS clients, whatever they speak; the endpoint is their name server address. */
public final class OnsDriver implements Client {
    private final String endpoint;
    private final Events events;

    private OnsDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, OnsDriver::new);
    }

    @Override
    public Producer produce(ProducerStart start) {
        return new Producing(endpoint, start, events);
    }

    @Override
    public Consumer consume(Subscription subscription) {
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        return switch (subscription.kind()) {
            case "push" -> new PushConsuming(endpoint, subscription, events);
            case "lite-pull" -> new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        };
    }
}
