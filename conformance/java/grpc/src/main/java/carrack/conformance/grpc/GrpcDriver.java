package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.ProducerStart;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the gRPC client, with its default of TLS and any certificate. */
public final class GrpcDriver implements Client {
    private final String endpoint;
    private final Events events;

    private GrpcDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, GrpcDriver::new);
    }

    @Override
    public Producer produce(ProducerStart start) throws Exception {
        return new Producing(endpoint, start, events);
    }

    @Override
    public Consumer consume(Subscription subscription) throws Exception {
        if (subscription.lite()) {
            Unsupported.refuseIf(!subscription.kind().equals("push"), "lite consumer of kind " + subscription.kind());
            return new LiteConsuming(endpoint, subscription, events);
        }
        return switch (subscription.kind()) {
            case "push" -> new PushConsuming(endpoint, subscription, events);
            case "simple" -> new SimpleConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        };
    }
}
