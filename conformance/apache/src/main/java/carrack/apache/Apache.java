package carrack.apache;

import org.apache.rocketmq.broker.BrokerStartup;
import org.apache.rocketmq.namesrv.NamesrvStartup;
import org.apache.rocketmq.proxy.ProxyStartup;

/**
 * Apache's name server and broker in one process: {@code NAME-SERVER-FILE BROKER-FILE}; with a
 * third file, {@code PROXY-FILE}, the broker is part of a proxy in local mode.
 */
public final class Apache {
    private Apache() {
    }

    public static void main(String[] files) {
        NamesrvStartup.main0(new String[] {"-c", files[0]});
        if (files.length > 2) {
            ProxyStartup.main(new String[] {"-bc", files[1], "-pc", files[2], "-pm", "local"});
        } else {
            BrokerStartup.main(new String[] {"-c", files[1]});
        }
        System.out.println("ready");
    }
}
