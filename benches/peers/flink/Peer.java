import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** Runs rules of Flink SQL over rows in memory, in an embedded cluster; arguments: rows, rules, parallelism, runs. */
public final class Peer {
    public static void main(String[] arguments) throws Exception {
        int events = Rows.load(Path.of(arguments[0]));
        List<String[]> rules = rules(Files.readString(Path.of(arguments[1])));
        long before = statusBytes("VmRSS:");
        long startup = 0;
        long[] best = null;
        for (int run = 0; run < Integer.parseInt(arguments[3]); run++) {
            long submitted = System.nanoTime();
            Rows.COUNTED.set(0);
            statements(rules, Integer.parseInt(arguments[2])).execute().await();
            long[] taken = {cpuNs() - Rows.begunCpuNs, System.nanoTime() - Rows.begunNs, Rows.COUNTED.get()};
            startup = run == 0 ? Rows.begunNs - submitted : startup;
            System.err.printf("flink run %d: %.2f s, %.2f s of processor, %d findings%n", run, taken[1] / 1e9, taken[0] / 1e9, taken[2]);
            // The first run warms the machine up.
            best = run == 0 || (best != null && best[0] <= taken[0]) ? best : taken;
        }
        System.out.printf(
            "{\"events\":%d,\"cpu_ns\":%d,\"wall_ns\":%d,\"findings\":%d,\"peak_bytes\":%d,\"before_bytes\":%d,"
                + "\"batch_us\":[],\"note\":\"%d rules, %.1f s to submit the first time\"}%n",
            events, best[0], best[1], best[2], statusBytes("VmHWM:"), before, rules.size(), startup / 1e9);
        System.exit(0);
    }

    private static StatementSet statements(List<String[]> rules, int parallelism) {
        Configuration settings = new Configuration();
        settings.setString("state.backend.type", "hashmap");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("taskmanager.numberOfTaskSlots", "4");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
        StreamTableEnvironment tables =
            StreamTableEnvironment.create(environment, EnvironmentSettings.newInstance().inStreamingMode().build());
        StringBuilder columns = new StringBuilder();
        for (String[] column : Rows.COLUMNS) {
            columns.append("`").append(column[0]).append("` ").append(column[1]).append(", ");
        }
        tables.executeSql("CREATE TABLE events (" + columns + "WATERMARK FOR `time` AS `time`) WITH ('connector' = 'rows')");
        StatementSet all = tables.createStatementSet();
        for (String[] rule : rules) {
            String name = rule[0].replace('/', '_');
            tables.createTemporaryView("rule_" + name, tables.sqlQuery(rule[1]));
            tables.executeSql("CREATE TABLE found_" + name + " (event_id STRING, entity STRING) WITH ('connector' = 'rows')");
            all.addInsertSql("INSERT INTO found_" + name + " SELECT event_id, entity FROM rule_" + name);
        }
        return all;
    }

    /** Name and query of each rule. */
    private static List<String[]> rules(String text) {
        List<String[]> rules = new ArrayList<>();
        for (String statement : text.split(";\\s*")) {
            String name = null;
            StringBuilder query = new StringBuilder();
            for (String line : statement.split("\n")) {
                if (line.startsWith("-- ")) {
                    name = line.substring(3).trim();
                } else {
                    query.append(line).append('\n');
                }
            }
            if (!query.toString().isBlank()) {
                rules.add(new String[] {name, query.toString()});
            }
        }
        return rules;
    }

    static long cpuNs() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static long statusBytes(String field) throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field)) {
                return Long.parseLong(line.substring(field.length()).replace("kB", "").trim()) * 1024;
            }
        }
        return 0;
    }
}
