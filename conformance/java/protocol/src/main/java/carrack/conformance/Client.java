package carrack.conformance;

import java.util.List;

/** A client library, as a driver needs it. Every call returns when what it says is done, or throws. */
public interface Client {
    Producer produce(ProducerStart start) throws Exception;

    Consumer consume(Subscription subscription) throws Exception;

    /** A producer that runs. */
    interface Producer {
        /** Sends one message; called from many threads at once. */
        Sent send(Outgoing message) throws Exception;

        /** Sends all in one request; the answer is of the same length. */
        default List<Sent> sendBatch(List<Outgoing> messages) throws Exception {
            throw new Unsupported("batch");
        }

        /** Sends a half message and ends its transaction with the decision. */
        default Sent sendTransaction(Outgoing message, Decision local) throws Exception {
            throw new Unsupported("transactions");
        }

        /** Sends a request and returns the body of its reply. */
        default byte[] request(Outgoing message, long timeoutMs) throws Exception {
            throw new Unsupported("request-reply");
        }

        /** Takes back a timed message. */
        default void recall(String topic, String recallHandle) throws Exception {
            throw new Unsupported("recall");
        }

        void stop() throws Exception;
    }

    /** A consumer that runs. */
    interface Consumer {
        /** Sets a consumer that polls to the first message of each queue. */
        default void seekToBegin() throws Exception {
            throw new Unsupported("seek");
        }

        /** Sets a consumer that polls behind the last message of each queue. */
        default void seekToEnd() throws Exception {
            throw new Unsupported("seek");
        }

        /** Sets a consumer that polls to the first message of each queue that was not stored before. */
        default void seekToTime(long timestampMs) throws Exception {
            throw new Unsupported("seek");
        }

        /** Has a lite consumer get the messages of a LiteTopic too. */
        default void subscribeLite(String liteTopic) throws Exception {
            throw new Unsupported("LiteTopics");
        }

        /** Has it get them no longer. */
        default void unsubscribeLite(String liteTopic) throws Exception {
            throw new Unsupported("LiteTopics");
        }

        void stop() throws Exception;
    }
}
