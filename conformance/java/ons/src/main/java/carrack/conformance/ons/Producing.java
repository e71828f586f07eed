package carrack.conformance.ons;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.SendResult;
import com.aliyun.openservices.ons.api.order.OrderProducer;
import com.aliyun.openservices.ons.api.transaction.TransactionProducer;
import com.aliyun.openservices.ons.api.transaction.TransactionStatus;
import java.util.Properties;
import java.util.UUID;

/** The producer of a driver: the library has one for each sort of message. */
final class Producing implements Client.Producer {
    /** Starting JVMs side by side on two cores takes longer than the default. */
    private static final String SEND_TIMEOUT_MS = "10000";

    private final Properties properties;
    private Producer producer;
    private TransactionProducer transactions;
    private OrderProducer ordered;

    Producing(String endpoint, ProducerStart start, Events events) {
        properties = Connection.properties(endpoint, start.group(), start.session());
        properties.setProperty(PropertyKeyConst.SendMsgTimeoutMillis, SEND_TIMEOUT_MS);
        if (start.transactions()) {
            transactions =
                    ONSFactory.createTransactionProducer(
                            properties,
                            message -> {
                                events.transactionChecked(Connection.keys(message).get(0));
                                return status(Decision.ofCheck(Connection.userProperties(message)));
                            });
            transactions.start();
            return;
        }
        producer = ONSFactory.createProducer(properties);
        if (start.uncompressed()) {
            Generation.sendUncompressed(producer);
        }
        producer.start();
    }

    @Override
    public Sent send(Outgoing outgoing) {
        Message message = message(outgoing);
        return sent(
                outgoing.shardingKey() == null
                        ? producer.send(message)
                        : ordered().send(message, outgoing.shardingKey()));
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) {
        Message message = message(outgoing);
        try {
            return sent(transactions.send(message, (half, argument) -> status(local), null));
        } catch (RuntimeException reason) {
            if (local == Decision.ROLLBACK) {
                // The library reports the application's own rollback in this way.
                return new Sent(message.getMsgID());
            }
            throw reason;
        }
    }

    @Override
    public void stop() {
        if (producer != null) {
            producer.shutdown();
        }
        if (transactions != null) {
            transactions.shutdown();
        }
        if (ordered != null) {
            ordered.shutdown();
        }
    }

    private synchronized OrderProducer ordered() {
        if (ordered == null) {
            // Two producers of a group must not share a client.
            properties.setProperty(PropertyKeyConst.InstanceName, UUID.randomUUID().toString());
            ordered = ONSFactory.createOrderProducer(properties);
            ordered.start();
        }
        return ordered;
    }

    private static Message message(Outgoing outgoing) {
        Unsupported.refuseIf(outgoing.delayLevel() != null, "delay level");
        Message message = new Message(outgoing.topic(), outgoing.tag(), outgoing.body());
        message.setKey(Connection.joined(outgoing.keys()));
        outgoing.properties().forEach(message::putUserProperties);
        if (outgoing.deliverAtMs() != null) {
            message.setStartDeliverTime(outgoing.deliverAtMs());
        }
        if (outgoing.delayMs() != null) {
            message.setStartDeliverTime(System.currentTimeMillis() + outgoing.delayMs());
        }
        return message;
    }

    private static TransactionStatus status(Decision decision) {
        return switch (decision) {
            case COMMIT -> TransactionStatus.CommitTransaction;
            case ROLLBACK -> TransactionStatus.RollbackTransaction;
            case UNKNOWN -> TransactionStatus.Unknow;
        };
    }

    private static Sent sent(SendResult result) {
        return new Sent(result.getMessageId());
    }
}
