package carrack.conformance.ons;

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

/** Drives the ONS clients, whatever they speak; the endpoint is their name server address. */
public final class OnsDriver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;
    private PushConsuming pushing;
    private PullConsuming pulling;

    private OnsDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, OnsDriver::new);
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
    public void stopProducer() {
        producing.stop();
        producing = null;
    }

    @Override
    public void startConsumer(Subscription subscription) {
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        switch (subscription.kind()) {
            case "push" -> pushing = new PushConsuming(endpoint, subscription, events);
            case "lite-pull" -> pulling = new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        }
    }

    @Override
    public void seekToBegin() throws Exception {
        pulling.seek((consumer, queue) -> consumer.seekToBeginning(queue));
    }

    @Override
    public void seekToEnd() throws Exception {
        pulling.seek((consumer, queue) -> consumer.seekToEnd(queue));
    }

    @Override
    public void seekToTime(long timestampMs) throws Exception {
        pulling.seek((consumer, queue) -> consumer.seek(queue, consumer.offsetForTimestamp(queue, timestampMs)));
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
