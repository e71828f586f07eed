package carrack.conformance.ons;

import carrack.conformance.Client;
import carrack.conformance.Events;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Action;
import com.aliyun.openservices.ons.api.Admin;
import com.aliyun.openservices.ons.api.Consumer;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.MessageSelector;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import com.aliyun.openservices.ons.api.PropertyValueConst;
import com.aliyun.openservices.ons.api.order.OrderAction;
import com.aliyun.openservices.ons.api.order.OrderConsumer;
import java.util.Properties;

/** A consumer with a listener, which decides by the keys of a message. */
final class PushConsuming implements Client.Consumer {
    private final Subscription subscription;
    private final Events events;
    private final Admin consumer;

    PushConsuming(String endpoint, Subscription subscription, Events events) {
        this.subscription = subscription;
        this.events = events;
        Properties properties =
                Connection.properties(endpoint, subscription.group(), subscription.session());
        if (subscription.maxAttempts() != null) {
            properties.setProperty(
                    PropertyKeyConst.MaxReconsumeTimes, String.valueOf(subscription.maxAttempts() - 1));
        }
        MessageSelector selector =
                subscription.sql() == null
                        ? MessageSelector.byTag(subscription.tags())
                        : MessageSelector.bySql(subscription.sql());
        if (subscription.ordered()) {
            Unsupported.refuseIf(subscription.broadcasting(), "ordered broadcasting");
            consumer = ordered(properties, selector);
        } else {
            consumer = concurrent(properties, selector);
        }
        Generation.beginAtStart(consumer);
        consumer.start();
    }

    private Admin concurrent(Properties properties, MessageSelector selector) {
        if (subscription.broadcasting()) {
            properties.setProperty(PropertyKeyConst.MessageModel, PropertyValueConst.BROADCASTING);
        }
        Consumer plain = ONSFactory.createConsumer(properties);
        plain.subscribe(
                subscription.topic(),
                selector,
                (message, context) -> consume(message) ? Action.CommitMessage : Action.ReconsumeLater);
        return plain;
    }

    private Admin ordered(Properties properties, MessageSelector selector) {
        OrderConsumer ordered = ONSFactory.createOrderedConsumer(properties);
        ordered.subscribe(
                subscription.topic(),
                selector,
                (message, context) -> consume(message) ? OrderAction.Success : OrderAction.Suspend);
        return ordered;
    }

    @Override
    public void stop() {
        consumer.shutdown();
    }

    /** Whether it is acknowledged. */
    private boolean consume(Message message) {
        return subscription.listen(Connection.delivery(message), events);
    }
}
