import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.legacy.table.connector.source.SourceFunctionProvider;
import org.apache.flink.streaming.api.functions.source.legacy.SourceFunction;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;

/** Table `rows`: read from memory as Flink's own rows, so that no parsing is on its bill; written to it, rows are counted. */
public final class Rows implements DynamicTableSourceFactory, DynamicTableSinkFactory {
    /** Columns in the order of the file, with their SQL types. */
    static final String[][] COLUMNS = {
        {"time", "TIMESTAMP(3)"}, {"event_time", "TIMESTAMP(3)"}, {"event_id", "STRING"}, {"source", "STRING"},
        {"kind", "STRING"}, {"actor", "STRING"}, {"session", "STRING"}, {"device", "STRING"}, {"country", "STRING"},
        {"asn", "BIGINT"}, {"wallet", "STRING"}, {"request", "STRING"}, {"decision", "STRING"}, {"tx", "STRING"},
        {"chain", "STRING"}, {"asset", "STRING"}, {"to_address", "STRING"}, {"amount", "DECIMAL(38, 0)"},
        {"outcome", "STRING"}, {"reason", "STRING"}, {"detail", "STRING"},
    };

    static final AtomicLong COUNTED = new AtomicLong();
    static volatile long begunNs;
    static volatile long begunCpuNs;
    private static RowData[] rows;

    static int load(Path file) throws Exception {
        try (Stream<String> lines = Files.lines(file)) {
            rows = lines.map(Rows::row).toArray(RowData[]::new);
        }
        return rows.length;
    }

    private static RowData row(String line) {
        String[] fields = line.split("\t", -1);
        GenericRowData row = new GenericRowData(COLUMNS.length);
        for (int index = 0; index < COLUMNS.length; index++) {
            row.setField(index, fields[index].isEmpty() ? null : value(COLUMNS[index][1], fields[index]));
        }
        return row;
    }

    private static Object value(String type, String text) {
        switch (type) {
            case "TIMESTAMP(3)": return TimestampData.fromEpochMillis(Long.parseLong(text));
            case "BIGINT": return Long.parseLong(text);
            case "DECIMAL(38, 0)": return DecimalData.fromBigDecimal(new BigDecimal(text), 38, 0);
            default: return StringData.fromBytes(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
        }
    }

    @Override public String factoryIdentifier() { return "rows"; }
    @Override public Set<ConfigOption<?>> requiredOptions() { return Set.of(); }
    @Override public Set<ConfigOption<?>> optionalOptions() { return Set.of(); }
    @Override public DynamicTableSource createDynamicTableSource(Context context) { return new Read(); }
    @Override public DynamicTableSink createDynamicTableSink(Context context) { return new Count(); }

    private static final class Read implements ScanTableSource {
        @Override public ChangelogMode getChangelogMode() { return ChangelogMode.insertOnly(); }
        @Override public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            return SourceFunctionProvider.of(new Emit(), true);
        }
        @Override public DynamicTableSource copy() { return new Read(); }
        @Override public String asSummaryString() { return "rows in memory"; }
    }

    private static final class Emit implements SourceFunction<RowData> {
        private volatile boolean running = true;

        @Override public void run(SourceContext<RowData> context) {
            begunCpuNs = Peer.cpuNs();
            begunNs = System.nanoTime();
            for (int index = 0; running && index < rows.length; index++) {
                synchronized (context.getCheckpointLock()) {
                    context.collect(rows[index]);
                }
            }
        }
        @Override public void cancel() { running = false; }
    }

    private static final class Count implements DynamicTableSink {
        @Override public ChangelogMode getChangelogMode(ChangelogMode requested) { return ChangelogMode.insertOnly(); }
        @Override public SinkRuntimeProvider getSinkRuntimeProvider(Context context) { return SinkV2Provider.of(new Counting()); }
        @Override public DynamicTableSink copy() { return new Count(); }
        @Override public String asSummaryString() { return "counted"; }
    }

    private static final class Counting implements Sink<RowData> {
        @Override public SinkWriter<RowData> createWriter(WriterInitContext context) {
            return new SinkWriter<RowData>() {
                @Override public void write(RowData row, Context of) { COUNTED.incrementAndGet(); }
                @Override public void flush(boolean end) { }
                @Override public void close() { }
            };
        }
    }
}
