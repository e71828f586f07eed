package carrack.conformance.remoting;

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
import java.util.List;

/** Drives the Remoting client; the endpoint is the name server address. */
public final class RemotingDriver implements Client {
    private final String endpoint;
    private final Events events;
    private Producing producing;
    private PushConsuming pushing;
    private PullConsuming pulling;

    private RemotingDriver(String endpoint, Events events) {
        this.endpoint = endpoint;
        this.events = events;
    }

    public static void main(String[] arguments) throws IOException {
        Driver.run(arguments, RemotingDriver::new);
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
    public List<Sent> sendBatch(List<Outgoing> messages) throws Exception {
        return producing.sendBatch(messages);
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) throws Exception {
        return producing.sendTransaction(outgoing, local);
    }

    @Override
    public byte[] request(Outgoing outgoing, long timeoutMs) throws Exception {
        return producing.request(outgoing, timeoutMs);
    }

    @Override
    public void recall(String topic, String recallHandle) throws Exception {
        producing.recall(topic, recallHandle);
    }

    @Override
    public void stopProducer() {
        producing.stop();
        producing = null;
    }

    @Override
    public void startConsumer(Subscription subscription) throws Exception {
        switch (subscription.kind()) {
            case "push" -> pushing = new PushConsuming(endpoint, subscription, producing, events);
            case "lite-pull" -> pulling = new PullConsuming(endpoint, subscription, events);
            default -> throw new Unsupported("consumer kind " + subscription.kind());
        }
    }

    @Override
    public void seekToBegin() throws Exception {
        pulling.seek((consumer, queue) -> consumer.seekToBegin(queue));
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
