package carrack.conformance.remoting3;

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

/** Drives the Remoting client of the third generation; the endpoint is the name server address. */
public final class Remoting3Driver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;
    private PushConsuming pushing;
    private PullConsuming pulling;

    private Remoting3Driver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, Remoting3Driver::new);
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
    public void stopProducer() {
        producing.stop();
        producing = null;
    }

    @Override
    public void startConsumer(Subscription subscription) throws Exception {
        Unsupported.refuseIf(subscription.sql() != null, "SQL filter");
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        switch (subscription.kind()) {
            case "push" -> pushing = new PushConsuming(endpoint, subscription, events);
            case "lite-pull" -> pulling = new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        }
    }

    @Override
    public void seekToBegin() throws Exception {
        pulling.seek((consumer, queue) -> consumer.minOffset(queue));
    }

    @Override
    public void seekToEnd() throws Exception {
        pulling.seek((consumer, queue) -> consumer.maxOffset(queue));
    }

    @Override
    public void seekToTime(long timestampMs) throws Exception {
        pulling.seek((consumer, queue) -> consumer.searchOffset(queue, timestampMs));
    }

    @Override
    public void stopConsumer() throws Exception {
        if (pushing != null) {
            pushing.stop();
            pushing = null;
        }
        if (pulling != null) {
            pulling.stop();
            pulling = null;
        }
    }
}
