package carrack.apache;

import org.apache.rocketmq.store.ha.DefaultHAService;

/** Replication that listens nowhere: the broker's own binds to every address of the machine. */
public final class SilentReplication extends DefaultHAService {
    @Override
    public void start() {
    }

    @Override
    public void shutdown() {
    }
}
