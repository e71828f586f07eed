package carrack.conformance.grpc;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Unsupported;
import java.io.IOException;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.ProducerBuilder;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/** The producer of a driver. */
final class Producing implements Client.Producer {
    private final Events events;
    private final Producer producer;

    Producing(String endpoint, ProducerStart start, Events events) throws ClientException {
        this.events = events;
        ProducerBuilder builder =
                Connection.PROVIDER
                        .newProducerBuilder()
                        .setClientConfiguration(Connection.configuration(endpoint, start.session()))
                        .setTopics(start.topics().toArray(new String[0]));
        if (start.transactions()) {
            builder.setTransactionChecker(this::check);
        }
        producer = builder.build();
    }

    @Override
    public Sent send(Outgoing outgoing) throws ClientException {
        return sent(producer.send(message(outgoing)));
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) throws ClientException {
        Transaction transaction = producer.beginTransaction();
        Sent sent = sent(producer.send(message(outgoing), transaction));
        switch (local) {
            case COMMIT -> transaction.commit();
            case ROLLBACK -> transaction.rollback();
            case UNKNOWN -> { }
        }
        return sent;
    }

    @Override
    public void recall(String topic, String recallHandle) throws ClientException {
        producer.recallMessage(topic, recallHandle);
    }

    @Override
    public void stop() throws IOException {
        producer.close();
    }

    private TransactionResolution check(MessageView message) {
        events.transactionChecked(message.getKeys().iterator().next());
        return switch (Decision.ofCheck(message.getProperties())) {
            case COMMIT -> TransactionResolution.COMMIT;
            case ROLLBACK -> TransactionResolution.ROLLBACK;
            case UNKNOWN -> TransactionResolution.UNKNOWN;
        };
    }

    private static Message message(Outgoing outgoing) {
        Unsupported.refuseIf(outgoing.delayLevel() != null, "delay levels");
        MessageBuilder builder =
                Connection.PROVIDER
                        .newMessageBuilder()
                        .setTopic(outgoing.topic())
                        .setKeys(outgoing.keys().toArray(new String[0]))
                        .setBody(outgoing.body());
        if (outgoing.tag() != null) {
            builder.setTag(outgoing.tag());
        }
        if (outgoing.shardingKey() != null) {
            builder.setMessageGroup(outgoing.shardingKey());
        }
        if (outgoing.delayMs() != null) {
            builder.setDeliveryTimestamp(System.currentTimeMillis() + outgoing.delayMs());
        }
        if (outgoing.deliverAtMs() != null) {
            builder.setDeliveryTimestamp(outgoing.deliverAtMs());
        }
        if (outgoing.priority() != null) {
            builder.setPriority(outgoing.priority());
        }
        if (outgoing.liteTopic() != null) {
            builder.setLiteTopic(outgoing.liteTopic());
        }
        outgoing.properties().forEach(builder::addProperty);
        return builder.build();
    }

    private static Sent sent(SendReceipt receipt) {
        return new Sent(receipt.getMessageId().toString(), receipt.getRecallHandle());
    }
}
