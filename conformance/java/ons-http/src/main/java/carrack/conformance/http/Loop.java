package carrack.conformance.http;

import carrack.conformance.Events;
import java.util.concurrent.locks.LockSupport;

/** Does something again and again until it is stopped. */
final class Loop {
    /** Between a failure and the next try. */
    private static final long PAUSE_NANOS = 100_000_000;

    private final Thread thread;
    private volatile boolean running = true;

    interface Step {
        void run() throws Exception;
    }

    Loop(Events events, Step step) {
        thread = new Thread(() -> {
            while (running) {
                try {
                    step.run();
                } catch (Exception reason) {
                    events.warning(reason);
                    LockSupport.parkNanos(PAUSE_NANOS);
                }
            }
        });
        thread.start();
    }

    void stop() throws InterruptedException {
        running = false;
        thread.join();
    }
}
