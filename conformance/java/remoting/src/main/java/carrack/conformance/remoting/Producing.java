package carrack.conformance.remoting;

import carrack.conformance.Client;
import carrack.conformance.Decision;
import carrack.conformance.Events;
import carrack.conformance.Outgoing;
import carrack.conformance.ProducerStart;
import carrack.conformance.Sent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/** The producer of a driver. */
final class Producing implements Client.Producer {
    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final int SEND_TIMEOUT_MS = 10_000;

    private final DefaultMQProducer producer;

    Producing(String endpoint, ProducerStart start, Events events) throws Exception {
        RPCHook signature = Connection.signature(start.session());
        boolean trace = start.session().trace();
        if (start.transactions()) {
            TransactionMQProducer transactions =
                    new TransactionMQProducer(null, start.group(), signature, trace, null);
            transactions.setTransactionListener(new Answers(events));
            producer = transactions;
        } else {
            producer = new DefaultMQProducer(start.group(), signature, trace, null);
        }
        Connection.configure(producer, endpoint, start.session());
        if (!start.session().ownTimes()) {
            producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        }
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
    public List<Sent> sendBatch(List<Outgoing> outgoing) throws Exception {
        List<Message> messages = new ArrayList<>();
        for (Outgoing one : outgoing) {
            messages.add(message(one));
        }
        String ids = sent(producer.send(messages)).id();
        return Arrays.stream(ids.split(",")).map(Sent::new).toList();
    }

    @Override
    public Sent sendTransaction(Outgoing outgoing, Decision local) throws Exception {
        return sent(producer.sendMessageInTransaction(message(outgoing), local));
    }

    @Override
    public byte[] request(Outgoing outgoing, long timeoutMs) throws Exception {
        return producer.request(message(outgoing), timeoutMs).getBody();
    }

    void reply(MessageExt request, byte[] body) throws Exception {
        sent(producer.send(MessageUtil.createReplyMessage(request, body)));
    }

    @Override
    public void recall(String topic, String recallHandle) throws Exception {
        Generation.recall(producer, topic, recallHandle);
    }

    @Override
    public void stop() {
        producer.shutdown();
    }

    private static Message message(Outgoing outgoing) {
        Message message = new Message(outgoing.topic(), outgoing.body());
        message.setKeys(outgoing.keys());
        if (outgoing.tag() != null) {
            message.setTags(outgoing.tag());
        }
        if (outgoing.delayLevel() != null) {
            message.setDelayTimeLevel(outgoing.delayLevel());
        }
        Generation.apply(outgoing, message);
        outgoing.properties().forEach(message::putUserProperty);
        return message;
    }

    private static Sent sent(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("send status " + result.getSendStatus());
        }
        return new Sent(result.getMsgId(), Generation.recallHandle(result));
    }

    /** Ends transactions as the command or the message says. */
    private record Answers(Events events) implements TransactionListener {
        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object local) {
            return state((Decision) local);
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
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
    }
}
