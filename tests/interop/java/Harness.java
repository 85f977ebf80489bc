import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;

/**
 * The Java client SDKs, one subcommand each: Harness NAME [ARGUMENT…]. Calls its SDK once for each line on stdin, and
 * prints one line of JSON for each call: the three values, or {"error": …}.
 */
public final class Harness {
    /** The result of the SDK. Any value may be null. */
    record Triple(String accessKeyId, String accessKeySecret, String securityToken) {}

    /** Calls the SDK once. */
    interface Call {
        Triple get() throws Exception;
    }

    /** Builds the SDK's client. */
    interface Build {
        Call from(String[] arguments) throws Exception;
    }

    public static void main(String[] words) throws IOException {
        // Some SDKs print to stdout, which is for results only.
        PrintStream results = System.out;
        System.setOut(System.err);
        Build build = Clients.ALL.get(words[0]);
        String[] arguments = Arrays.copyOfRange(words, 1, words.length);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        Call call = null;
        while (lines.readLine() != null) {
            try {
                // Built with the first call, as an application does, and again if that failed.
                call = call == null ? build.from(arguments) : call;
                results.println(json(call.get()));
            } catch (Exception error) {
                results.println(object("error", error.toString()));
            }
            results.flush();
        }
        // Some SDKs leave threads that would keep the process running.
        System.exit(0);
    }

    private static String json(Triple got) {
        if (got == null || got.accessKeyId() == null) {
            return object("error", "the SDK returned null");
        }
        return object(
                "AccessKeyId", got.accessKeyId(),
                "AccessKeySecret", got.accessKeySecret(),
                "SecurityToken", got.securityToken());
    }

    private static String object(String... namesAndValues) {
        StringBuilder json = new StringBuilder("{");
        for (int i = 0; i < namesAndValues.length; i += 2) {
            json.append(i == 0 ? "" : ", ").append(quoted(namesAndValues[i]));
            json.append(": ").append(quoted(namesAndValues[i + 1]));
        }
        return json.append("}").toString();
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder json = new StringBuilder("\"");
        for (char each : text.toCharArray()) {
            boolean plain = each >= ' ' && each < 127 && each != '"' && each != '\\';
            json.append(plain ? String.valueOf(each) : String.format("\\u%04x", (int) each));
        }
        return json.append('"').toString();
    }
}
