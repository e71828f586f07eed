package carrack.conformance.ons;

import carrack.conformance.Unsupported;
import com.aliyun.openservices.ons.api.Producer;

/** What differs between the generations: this one speaks gRPC v1, and compresses whatever is long. */
final class Generation {
    private Generation() {}

    static void sendUncompressed(Producer producer) {
        throw new Unsupported("long bodies that travel as they are");
    }
}
