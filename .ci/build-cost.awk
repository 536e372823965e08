# Reads, in this order, `cargo tree --prefix depth`, the page of `cargo --timings` and the table of what dependencies cost;
# prints rows of such a table.

FNR == 1 { file++ }

# 2arrow-cast v59.3.2 (*)
file == 1 && /^[0-9]+[A-Za-z]/ {
    match($1, /^[0-9]+/)
    depth = substr($1, 1, RLENGTH) + 0
    name = substr($1, RLENGTH + 1)
    package = name "@" substr($2, 2)
    names[package] = name
    if ($3 ~ /^\(\//) ours[package] = 1
    path[depth] = package
    if (depth > 0 && !((path[depth - 1], package) in known)) {
        known[path[depth - 1], package] = 1
        children[path[depth - 1]] = children[path[depth - 1]] " " package
        if (path[depth - 1] in ours) direct[package] = 1
    }
}

file == 2 && /^    "name": / { name = quoted($0) }
file == 2 && /^    "version": / { version = quoted($0) }
file == 2 && /^    "duration": / {
    gsub(/[^0-9.]/, "")
    cost[name "@" version] += $0
    sum += $0
}

# | `datafusion` | 123 | 456 | what it is for |
file == 3 && /^\| `[^`]*` \| [0-9]+ \|/ {
    split($0, cells, /[|`]/)
    written[cells[3]] = cells[5] + 0
}

END {
    if (sum == 0) fail("the page of timings has no units")
    scale = cpu > 0 ? cpu / sum : 1
    for (package in ours) {
        own += cost[package] * scale
        delete direct[package]
    }
    for (package in direct) {
        split("", seen)
        walk(package, "")
        all = total()
        split("", seen)
        for (root in ours) walk(root, package)
        alone[names[package]] += sum * scale - total()
        whole[names[package]] += all
    }
    # The table is from one machine: what it has in common with this run says how much faster this one is.
    for (name in written) if (name in alone) { then += written[name]; now += alone[name] }
    pace = then > 0 && now > 0 ? then / now : 1
    for (name in alone) {
        printf "| `%s` | %d | %d |\n", name, alone[name] + 0.5, whole[name] + 0.5
        costs = alone[name] * pace
        stands = name in written ? written[name] : 0
        if (costs > stands + 60) {
            problem = name in written ? "the table says " stands : "the table does not have it"
            printf "build-cost: %s costs %.0f s of processor time, %s\n", name, costs, problem > "/dev/stderr"
            failed = 1
        }
    }
    printf "build-cost: %.0f s of processor time in all, %.0f of them ours; times %.2f on the machine of the table\n", \
        sum * scale, own, pace > "/dev/stderr"
    exit failed
}

# Everything reachable from a package without going through another one.
function walk(package, without,    below, count, i) {
    if (package == without || package in seen) return
    seen[package] = 1
    count = split(children[package], below, " ")
    for (i = 1; i <= count; i++) walk(below[i], without)
}

function total(    package, seconds) {
    for (package in seen) seconds += cost[package] * scale
    return seconds
}

function quoted(line,    parts) {
    split(line, parts, "\"")
    return parts[4]
}

function fail(problem) {
    print "build-cost: " problem > "/dev/stderr"
    exit 1
}
