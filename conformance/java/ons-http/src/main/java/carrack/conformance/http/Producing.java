package carrack.conformance.http;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.Polling;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Unsupported;
import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.MQTransProducer;
import com.aliyun.mq.http.model.Message;
import com.aliyun.mq.http.model.TopicMessage;
import java.util.List;

/** The producer of a driver; the loop of one for transactions asks for those that are open. */
final class Producing implements Client.Producer {
    /** Before a half message is asked about; its own end comes sooner. */
    private static final int CHECK_SECONDS = 3;

    private final ProducerStart start;
    private final Events events;
    private final MQClient client;
    private final Polling checks;

    Producing(String endpoint, ProducerStart start, Events events) {
        this.start = start;
        this.events = events;
        client = Connection.client(endpoint, start.session());
        checks = start.transactions() ? Polling.start(events, this::check) : null;
    }

    @Override
    public Sent send(Outgoing outgoing) {
        return sent(client.getProducer(start.session().namespace(), outgoing.topic()).publishMessage(message(outgoing)));
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) {
        TopicMessage message = message(outgoing);
        message.setTransCheckImmunityTime(CHECK_SECONDS);
        MQTransProducer producer = transactions(outgoing.topic());
        TopicMessage sent = producer.publishMessage(message);
        end(producer, sent.getReceiptHandle(), local);
        return sent(sent);
    }

    @Override
    public void stop() throws InterruptedException {
        if (checks != null) {
            checks.stop();
        }
        client.close();
    }

    private MQTransProducer transactions(String topic) {
        return client.getTransProducer(start.session().namespace(), topic, start.group());
    }

    private void check() {
        MQTransProducer producer = transactions(start.topics().get(0));
        List<Message> halves = producer.consumeHalfMessage(Connection.BATCH, Connection.AWAIT_SECONDS);
        if (halves == null) {
            return;
        }
        for (Message half : halves) {
            events.transactionChecked(Connection.keys(half).get(0));
            end(producer, half.getReceiptHandle(), Decision.ofCheck(half.getProperties()));
        }
    }

    private static void end(MQTransProducer producer, String handle, Decision decision) {
        switch (decision) {
            case COMMIT -> producer.commit(handle);
            case ROLLBACK -> producer.rollback(handle);
            case UNKNOWN -> { }
        }
    }

    private static TopicMessage message(Outgoing outgoing) {
        Unsupported.refuseIf(outgoing.delayLevel() != null, "delay level");
        TopicMessage message =
                outgoing.tag() == null
                        ? new TopicMessage(outgoing.body())
                        : new TopicMessage(outgoing.body(), outgoing.tag());
        message.setMessageKey(Connection.joined(outgoing.keys()));
        if (outgoing.shardingKey() != null) {
            message.setShardingKey(outgoing.shardingKey());
        }
        if (outgoing.deliverAtMs() != null) {
            message.setStartDeliverTime(outgoing.deliverAtMs());
        }
        if (outgoing.delayMs() != null) {
            message.setStartDeliverTime(System.currentTimeMillis() + outgoing.delayMs());
        }
        message.getProperties().putAll(outgoing.properties());
        return message;
    }

    private static Sent sent(TopicMessage message) {
        return new Sent(message.getMessageId());
    }
}
