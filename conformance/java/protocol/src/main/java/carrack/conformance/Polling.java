package carrack.conformance;

import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.locks.LockSupport;

/** A thread that polls again and again. */
public final class Polling {
    /** Between a poll that failed and the next one. */
    private static final long PAUSE_NS = 100_000_000;

    private final Events events;
    private final Poll poll;
    private final Queue<FutureTask<?>> between = new ConcurrentLinkedQueue<>();
    private final Thread thread = new Thread(this::run, "poll");
    private volatile boolean running = true;

    /** Asks once, and waits for no longer than the library does. */
    public interface Poll {
        void run() throws Exception;
    }

    private Polling(Events events, Poll poll) {
        this.events = events;
        this.poll = poll;
    }

    /** Polls from now on; failures are told as warnings. */
    public static Polling start(Events events, Poll poll) {
        Polling polling = new Polling(events, poll);
        polling.thread.start();
        return polling;
    }

    /** Does this between two polls, so that nothing polled before comes after it. */
    public void between(Callable<?> task) throws Exception {
        FutureTask<?> waiting = new FutureTask<>(task);
        between.add(waiting);
        waiting.get();
    }

    /** Waits for the poll under way. */
    public void stop() throws InterruptedException {
        running = false;
        thread.join();
    }

    private void run() {
        while (running) {
            for (FutureTask<?> task = between.poll(); task != null; task = between.poll()) {
                task.run();
            }
            try {
                poll.run();
            } catch (Exception reason) {
                events.warning(reason);
                LockSupport.parkNanos(PAUSE_NS);
            }
        }
    }
}
