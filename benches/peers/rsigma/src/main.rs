//! rsigma over JSON lines: `peer-rsigma RULES EVENTS` writes one line of JSON. Its own command line sets no allocator on
//! Linux with glibc either (jemalloc with musl).

mod measured;

fn main() {
    measured::main();
}
