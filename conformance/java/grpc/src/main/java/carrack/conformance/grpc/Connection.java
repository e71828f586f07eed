package carrack.conformance.grpc;

import carrack.conformance.Delivery;
import carrack.conformance.Session;
import carrack.conformance.Subscription;
import carrack.conformance.Unsupported;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientConfigurationBuilder;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.message.MessageView;

/** What producers and consumers have in common. */
final class Connection {
    static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();

    /** Starting JVMs side by side on two cores takes longer than the default of 3 s. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(10);

    private Connection() {}

    static ClientConfiguration configuration(String endpoint, Session session) {
        Unsupported.refuseIf(session.trace(), "trace");
        ClientConfigurationBuilder builder = ClientConfiguration.newBuilder().setEndpoints(endpoint);
        if (!session.ownTimes()) {
            builder.setRequestTimeout(REQUEST_TIMEOUT);
        }
        if (session.namespace() != null) {
            builder.setNamespace(session.namespace());
        }
        if (session.accessKey() != null) {
            builder.setCredentialProvider(
                    new StaticSessionCredentialsProvider(session.accessKey(), session.secretKey()));
        }
        return builder.build();
    }

    /** What a consumer subscribes to. Whether it consumes in order is the business of its group. */
    static Map<String, FilterExpression> expressions(Subscription subscription) {
        Unsupported.refuseIf(subscription.broadcasting(), "broadcasting");
        Unsupported.refuseIf(subscription.replies(), "request-reply");
        FilterExpression expression =
                subscription.sql() == null
                        ? new FilterExpression(subscription.tags(), FilterExpressionType.TAG)
                        : new FilterExpression(subscription.sql(), FilterExpressionType.SQL92);
        return Map.of(subscription.topic(), expression);
    }

    static Delivery delivery(MessageView message) {
        ByteBuffer buffer = message.getBody();
        byte[] body = new byte[buffer.remaining()];
        buffer.get(body);
        return new Delivery(
                message.getTopic(),
                message.getMessageId().toString(),
                message.getKeys(),
                message.getTag().orElse(null),
                message.getProperties(),
                body,
                message.getDeliveryAttempt(),
                message.getLiteTopic().orElse(null));
    }
}
