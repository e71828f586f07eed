package carrack.conformance.remoting;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.ProducerStart;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the Remoting client; the endpoint is the name server address. */
public final class RemotingDriver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;

    private RemotingDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, RemotingDriver::new);
    }

    @Override
    public Producer produce(ProducerStart start) throws Exception {
        producing = new Producing(endpoint, start, events);
        return producing;
    }

    @Override
    public Consumer consume(Subscription subscription) throws Exception {
        return switch (subscription.kind()) {
            case "push" -> new PushConsuming(endpoint, subscription, producing, events);
            case "lite-pull" -> new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        };
    }
}
