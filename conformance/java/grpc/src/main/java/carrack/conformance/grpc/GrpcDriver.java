package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Driver;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.io.IOException;

/** Drives the gRPC client, with its default of TLS and any certificate. */
public final class GrpcDriver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;
    private PushConsuming pushing;
    private LiteConsuming choosing;
    private SimpleConsuming receiving;

    private GrpcDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, GrpcDriver::new);
    }

    @Override
    public void startProducer(ProducerStart start) throws Exception {
        producing = new Producing(endpoint, start, events);
    }

    @Override
    public Sent send(Outgoing outgoing) throws Exception {
        return producing.send(outgoing);
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) throws Exception {
        return producing.sendTransaction(outgoing, local);
    }

    @Override
    public void recall(String topic, String recallHandle) throws Exception {
        producing.recall(topic, recallHandle);
    }

    @Override
    public void stopProducer() throws Exception {
        producing.stop();
        producing = null;
    }

    @Override
    public void startConsumer(Subscription subscription) throws Exception {
        if (subscription.lite()) {
            Unsupported.refuseIf(!subscription.kind().equals("push"), "lite consumer of kind " + subscription.kind());
            choosing = new LiteConsuming(endpoint, subscription, events);
            return;
        }
        switch (subscription.kind()) {
            case "push" -> pushing = new PushConsuming(endpoint, subscription, events);
            case "simple" -> receiving = new SimpleConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        }
    }

    @Override
    public void subscribeLite(String liteTopic) throws Exception {
        choosing.subscribe(liteTopic);
    }

    @Override
    public void unsubscribeLite(String liteTopic) throws Exception {
        choosing.unsubscribe(liteTopic);
    }

    @Override
    public void stopConsumer() throws Exception {
        if (choosing != null) {
            choosing.stop();
            choosing = null;
        }
        if (pushing != null) {
            pushing.stop();
            pushing = null;
        }
        if (receiving != null) {
            receiving.stop();
            receiving = null;
        }
    }
}
