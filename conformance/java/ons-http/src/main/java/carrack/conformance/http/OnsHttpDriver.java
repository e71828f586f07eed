package carrack.conformance.http;

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

/** Drives the ONS client for HTTP. */
public final class OnsHttpDriver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;
    private SimpleConsuming consuming;

    private OnsHttpDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, OnsHttpDriver::new);
    }

    @Override
    public void startProducer(ProducerStart start) {
        producing = new Producing(endpoint, start, events);
    }

    @Override
    public Sent send(Outgoing outgoing) {
        return producing.send(outgoing);
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) {
        return producing.sendTransaction(outgoing, local);
    }

    @Override
    public void stopProducer() throws InterruptedException {
        producing.stop();
        producing = null;
    }

    @Override
    public void startConsumer(Subscription subscription) {
        Unsupported.refuseIf(!subscription.kind().equals("simple"), "consumer kind " + subscription.kind());
        Unsupported.refuseIf(subscription.sql() != null, "SQL92 filters");
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting");
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        consuming = new SimpleConsuming(endpoint, subscription, events);
    }

    @Override
    public void stopConsumer() throws InterruptedException {
        consuming.stop();
        consuming = null;
    }
}
