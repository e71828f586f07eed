package carrack.conformance.remoting3;

import com.alibaba.rocketmq.remoting.RPCHook;
import com.alibaba.rocketmq.remoting.protocol.RemotingCommand;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signs requests; this generation of the client leaves that to applications. */
final class Signature implements RPCHook {
    private static final String ALGORITHM = "HmacSHA1";

    private final String accessKey;
    private final SecretKeySpec secret;

    Signature(String accessKey, String secretKey) {
        this.accessKey = accessKey;
        this.secret = new SecretKeySpec(secretKey.getBytes(StandardCharsets.UTF_8), ALGORITHM);
    }

    @Override
    public void doBeforeRequest(String address, RemotingCommand request) {
        request.makeCustomHeaderToNet();
        request.addExtField("AccessKey", accessKey);
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(secret);
            for (String value : new TreeMap<>(request.getExtFields()).values()) {
                mac.update(value.getBytes(StandardCharsets.UTF_8));
            }
            if (request.getBody() != null) {
                mac.update(request.getBody());
            }
            request.addExtField("Signature", Base64.getEncoder().encodeToString(mac.doFinal()));
        } catch (GeneralSecurityException reason) {
            throw new IllegalStateException(reason);
        }
    }

    @Override
    public void doAfterResponse(String address, RemotingCommand request, RemotingCommand response) {}
}
