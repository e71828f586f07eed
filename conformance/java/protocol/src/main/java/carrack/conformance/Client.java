package carrack.conformance;

import java.util.List;

/** What a driver does with its client library; every call returns when it is done or throws. */
public interface Client {
    void startProducer(String group, List<String> topics) throws Exception;

    /** Sends one message and returns its id; called from many threads at once. */
    String send(Outgoing message) throws Exception;

    void stopProducer() throws Exception;

    void startConsumer(Subscription subscription) throws Exception;

    void stopConsumer() throws Exception;
}
