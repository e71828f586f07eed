package carrack.conformance.remoting3;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import carrack.conformance.Unsupported;
import com.alibaba.rocketmq.client.producer.DefaultMQProducer;
import com.alibaba.rocketmq.client.producer.LocalTransactionState;
import com.alibaba.rocketmq.client.producer.SendResult;
import com.alibaba.rocketmq.client.producer.SendStatus;
import com.alibaba.rocketmq.client.producer.TransactionMQProducer;
import com.alibaba.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import com.alibaba.rocketmq.common.message.Message;
import com.alibaba.rocketmq.common.message.MessageExt;
import com.alibaba.rocketmq.remoting.RPCHook;

/** The producer of a driver. */
final class Producing implements Client.Producer {
    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final int SEND_TIMEOUT_MS = 10_000;

    private final DefaultMQProducer producer;

    Producing(String endpoint, ProducerStart start, Events events) throws Exception {
        RPCHook signature = Connection.signature(start.session());
        if (start.transactions()) {
            TransactionMQProducer transactions = new TransactionMQProducer(start.group(), signature);
            transactions.setTransactionCheckListener(message -> check(message, events));
            producer = transactions;
        } else {
            producer = new DefaultMQProducer(start.group(), signature);
        }
        Connection.configure(producer, endpoint, start.session());
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        if (start.uncompressed()) {
            producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
            producer.setMaxMessageSize(ProducerStart.BODY_BYTES_MAX);
        }
        producer.start();
    }

    @Override
    public Sent send(Outgoing outgoing) throws Exception {
        Message message = message(outgoing);
        SendResult result =
                outgoing.shardingKey() == null
                        ? producer.send(message)
                        : producer.send(message, new SelectMessageQueueByHash(), outgoing.shardingKey());
        return sent(result);
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) throws Exception {
        return sent(
                producer.sendMessageInTransaction(
                        message(outgoing), (message, argument) -> state((Decision) argument), local));
    }

    @Override
    public void stop() {
        producer.shutdown();
    }

    private static LocalTransactionState check(MessageExt message, Events events) {
        events.transactionChecked(Connection.keys(message).get(0));
        return state(Decision.ofCheck(message.getProperties()));
    }

    private static LocalTransactionState state(Decision decision) {
        return switch (decision) {
            case COMMIT -> LocalTransactionState.COMMIT_MESSAGE;
            case ROLLBACK -> LocalTransactionState.ROLLBACK_MESSAGE;
            case UNKNOWN -> LocalTransactionState.UNKNOW;
        };
    }

    private static Message message(Outgoing outgoing) {
        Unsupported.refuseIf(outgoing.isTimed(), "delivery at a point in time");
        Message message = new Message(outgoing.topic(), outgoing.body());
        message.setKeys(outgoing.keys());
        if (outgoing.tag() != null) {
            message.setTags(outgoing.tag());
        }
        if (outgoing.delayLevel() != null) {
            message.setDelayTimeLevel(outgoing.delayLevel());
        }
        outgoing.properties().forEach(message::putUserProperty);
        return message;
    }

    private static Sent sent(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("send status " + result.getSendStatus());
        }
        return new Sent(result.getMsgId());
    }
}
