package carrack.apache;

import org.apache.rocketmq.broker.BrokerStartup;
import org.apache.rocketmq.namesrv.NamesrvStartup;

/** Apache's name server and broker in one process: {@code NAME-SERVER-FILE BROKER-FILE}. */
public final class Apache {
    private Apache() {
    }

    public static void main(String[] files) {
        NamesrvStartup.main0(new String[] {"-c", files[0]});
        BrokerStartup.main(new String[] {"-c", files[1]});
        System.out.println("ready");
    }
}
