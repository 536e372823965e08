//! As `peer-rsigma`, with the allocator that keywatch has.

mod measured;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    measured::main();
}
