package carrack.mqadmin;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs commands of {@code mqadmin} in one process, which is much faster than a process each, and
 * what clients must have done before.
 *
 * <p>One step a line, its words separated by tabs. A step that begins with {@code !} is a step of
 * a client, see {@link Clients}; any other is the command line of {@code mqadmin}. What a step
 * prints is the answer: one line of base64. {@code ${name}} in a word is a value that an earlier
 * step has left. The first argument of the process is the address of the name server.
 */
public final class Harness {
    private static final int THREADS_MAX = 1_000;
    private static final long HURRY_MILLISECONDS = 50;
    private static final Pattern VALUE = Pattern.compile("\\$\\{([^}]+)}");

    private final Map<String, String> values = new HashMap<>();
    private final Clients clients = new Clients(values);

    private Harness(String[] arguments) {
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            values.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        PrintStream errors = System.err;
        Harness harness = new Harness(arguments);
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        hurry(Thread.currentThread());
        out.println("ready");
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            PrintStream captured = new PrintStream(output, true, StandardCharsets.UTF_8);
            System.setOut(captured);
            System.setErr(captured);
            try {
                harness.step(line.split("\t", -1), captured);
            } catch (Throwable error) {
                error.printStackTrace(captured);
            }
            captured.flush();
            System.setErr(errors);
            System.setOut(out);
            out.println(Base64.getEncoder().encodeToString(output.toByteArray()));
            out.flush();
        }
        System.exit(0);
    }

    /**
     * Ends the waits of clients that shut down. Their event thread looks every three seconds
     * whether it should end; interrupted it looks at once, and goes on if it should not.
     */
    private static void hurry(Thread main) {
        Thread thread = new Thread(() -> {
            Thread[] threads = new Thread[THREADS_MAX];
            while (true) {
                if (isIn(main, "ServiceThread", "shutdown")) {
                    int count = Thread.enumerate(threads);
                    for (int index = 0; index < count; index++) {
                        Thread other = threads[index];
                        // While it works on an event it must not be disturbed.
                        if (other.getName().startsWith("NettyEventExecutor")
                            && isIn(other, "LinkedBlockingQueue", "poll")) {
                            other.interrupt();
                        }
                    }
                }
                try {
                    Thread.sleep(HURRY_MILLISECONDS);
                } catch (InterruptedException error) {
                    return;
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static boolean isIn(Thread thread, String type, String method) {
        for (StackTraceElement frame : thread.getStackTrace()) {
            if (frame.getMethodName().equals(method) && frame.getClassName().endsWith(type)) {
                return true;
            }
        }
        return false;
    }

    private void step(String[] words, PrintStream out) throws Exception {
        for (int index = 0; index < words.length; index++) {
            words[index] = filled(words[index]);
        }
        switch (words[0]) {
            case "!commands" -> Tool.run(new String[0]);
            case "!show" -> out.print(Files.readString(Path.of(words[1])));
            case "!write" -> Files.writeString(Path.of(words[1]), words[2]);
            default -> {
                if (words[0].startsWith("!")) {
                    clients.step(words, out);
                } else {
                    Tool.run(words);
                }
            }
        }
    }

    /** The tool. Some commands keep a client that they have shut down: each run has new ones. */
    private static final class Tool extends MQAdminStartup {
        static void run(String[] words) {
            SUB_COMMANDS.clear();
            main0(words, null);
        }
    }

    private String filled(String word) {
        Matcher matcher = VALUE.matcher(word);
        StringBuilder text = new StringBuilder();
        while (matcher.find()) {
            String value = values.get(matcher.group(1));
            if (value == null) {
                throw new IllegalArgumentException("no value " + matcher.group(1));
            }
            matcher.appendReplacement(text, Matcher.quoteReplacement(value));
        }
        return matcher.appendTail(text).toString();
    }
}
